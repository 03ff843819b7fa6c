//! Logs of a small shop that does not exist: five services, their users, and somebody attacking them.
//!
//! Pure: the same seed and times give the same records.

use clap::ValueEnum;
use logwarden_event::Timestamp;
use serde_json::json;

use crate::cli::random::Random;

/// What happens besides ordinary life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// Each of the others in turn, with quiet minutes between.
    All,
    /// One address guesses passwords of a few accounts over SSH.
    Bruteforce,
    /// One address tries one password on many accounts of the shop.
    Spray,
    /// One address guesses until it gets in.
    Takeover,
    /// Nothing.
    None,
}

/// A record and the door it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shipped {
    /// A line of JSON, posted.
    Json(String),
    /// A line of syslog, over TCP.
    Syslog(String),
}

const USERS: [&str; 12] = [
    "amara", "bjorn", "chiara", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jonas",
    "kofi", "lucia",
];
const PATHS: [&str; 6] =
    ["/", "/cart", "/products/4711", "/products/815", "/checkout", "/api/v2/orders"];
/// Seconds from the start of one attack to the start of the next.
const ATTACK_PERIOD_SECS: u64 = 90;
/// Seconds an attack lasts.
const ATTACK_SECS: u64 = 20;

/// The shop.
#[derive(Debug)]
pub(crate) struct Traffic {
    random: Random,
    attack: Attack,
    second: u64,
}

impl Traffic {
    /// A shop whose life is decided by `seed`.
    pub(crate) fn new(seed: u64, attack: Attack) -> Self {
        Self { random: Random::new(seed), attack, second: 0 }
    }

    /// The records of the next second, which begins at `now`: `rate` ordinary ones and the attack's.
    pub(crate) fn next_second(&mut self, now: Timestamp, rate: u32) -> Vec<Shipped> {
        let mut records: Vec<Shipped> = (0..rate).map(|_| self.ordinary(now)).collect();
        let (turn, phase) = (self.second / ATTACK_PERIOD_SECS, self.second % ATTACK_PERIOD_SECS);
        // The first attack comes after ten quiet seconds, so that there is something to compare with.
        if (10..10 + ATTACK_SECS).contains(&phase) {
            let attack = match self.attack {
                Attack::All => {
                    [Attack::Bruteforce, Attack::Spray, Attack::Takeover][(turn % 3) as usize]
                }
                attack => attack,
            };
            self.attack_second(attack, turn, phase - 10, now, &mut records);
        }
        self.second += 1;
        records
    }

    fn ordinary(&mut self, now: Timestamp) -> Shipped {
        let user = self.random.pick(&USERS);
        let address = format!("198.51.100.{}", self.random.below(200) + 1);
        let request = format!("{:016x}", self.random.next());
        match self.random.below(10) {
            0..=3 => {
                let path = self.random.pick(&PATHS);
                let status = if self.random.below(50) == 0 { 502 } else { 200 };
                let level = if status == 200 { "info" } else { "error" };
                Shipped::Json(json!({ "timestamp": now.to_string(), "level": level, "service": "gateway",
                    "message": format!("GET {path} {status}"), "method": "GET", "path": path, "status": status,
                    "client_ip": address, "request_id": request }).to_string())
            }
            4 | 5 => Shipped::Json(json!({ "time": now.millis(), "level": 30, "name": "orders", "pid": 41,
                "hostname": "orders-1", "msg": format!("order {} placed", self.random.below(90_000) + 10_000),
                "user": user, "amount_cents": self.random.below(20_000), "trace_id": request }).to_string()),
            6 => self.login(now, user, &address, true, "password"),
            7 => {
                // People mistype now and then.
                let succeeded = self.random.below(15) != 0;
                self.login(now, user, &address, succeeded, "password")
            }
            8 => Shipped::Json(json!({ "ts": now.secs(), "level": "warn", "logger": "inventory.stock",
                "caller": "stock/watch.go:88", "msg": "stock is low", "sku": self.random.below(900) + 100,
                "service": "inventory" }).to_string()),
            _ => {
                let port = 40_000 + self.random.below(20_000);
                self.sshd(now, &format!("Accepted publickey for deploy from 203.0.113.10 port {port} ssh2: ED25519 SHA256:{request}"))
            }
        }
    }

    fn attack_second(
        &mut self,
        attack: Attack,
        turn: u64,
        elapsed: u64,
        now: Timestamp,
        records: &mut Vec<Shipped>,
    ) {
        let address = format!("192.0.2.{}", 10 + turn % 200);
        let port = 40_000 + self.random.below(20_000);
        match attack {
            Attack::Bruteforce | Attack::Takeover => {
                let user = self.random.pick(&["root", "admin", "postgres"]);
                let known = if user == "root" { "" } else { "invalid user " };
                for attempt in 0..3 {
                    records.push(self.sshd(
                        now,
                        &format!(
                            "Failed password for {known}{user} from {address} port {} ssh2",
                            port + attempt
                        ),
                    ));
                }
                if attack == Attack::Takeover && elapsed == ATTACK_SECS - 1 {
                    records.push(self.sshd(
                        now,
                        &format!("Accepted password for root from {address} port {port} ssh2"),
                    ));
                }
            }
            Attack::Spray => {
                let user = USERS[(elapsed as usize) % USERS.len()];
                records.push(self.login(now, user, &address, false, "password"));
            }
            Attack::All | Attack::None => {}
        }
    }

    fn login(
        &mut self,
        now: Timestamp,
        user: &str,
        address: &str,
        succeeded: bool,
        method: &str,
    ) -> Shipped {
        let (level, outcome, message) = if succeeded {
            ("info", "success", format!("user {user} signed in"))
        } else {
            ("warn", "failure", format!("sign-in of {user} failed: wrong {method}"))
        };
        Shipped::Json(json!({ "@timestamp": now.to_string(), "level": level, "service": "auth", "message": message,
            "event": { "category": "authentication", "action": "login", "outcome": outcome },
            "user": { "name": user }, "src": { "ip": address } }).to_string())
    }

    fn sshd(&mut self, now: Timestamp, message: &str) -> Shipped {
        let pid = 1_000 + self.random.below(30_000);
        Shipped::Syslog(format!(
            "<38>{} bastion-1 sshd[{pid}]: {message}",
            now.to_datetime().format("%b %e %H:%M:%S")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_in_the_traffic_and_only_when_asked_for() {
        let failures = |attack| {
            let mut traffic = Traffic::new(7, attack);
            (0..60)
                .flat_map(|second| traffic.next_second(Timestamp::from_secs(second), 5))
                .filter(|record| matches!(record, Shipped::Syslog(line) if line.contains("Failed password")))
                .count()
        };
        assert_eq!(failures(Attack::Bruteforce), 60);
        assert_eq!(failures(Attack::None), 0);
    }
}

//! How often the baseline is right: seeded series with a week's rhythm, and incidents put into them.
//! The figures stand in `docs/DETECTION.md`.

use std::time::Duration;

use super::model::Model;
use crate::rule::{Direction, Judge, Season};

const KEYS: u64 = 60;
const DAYS: i64 = 42;
const LEARN_DAYS: i64 = 14;
const BUCKET_SECS: i64 = 900;
const BUCKETS_PER_DAY: i64 = 86_400 / BUCKET_SECS;
/// Buckets of one incident.
const INCIDENT_BUCKETS: i64 = 4;

/// A small generator of numbers, the same on every machine.
struct Chance(u64);

impl Chance {
    /// Evenly in 0 to 1.
    fn even(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, with mean 0 and deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// What came of an incident kind: how many there were, how many were told of, after how many buckets.
#[derive(Debug, Default)]
struct Told {
    incidents: u32,
    found: u32,
    delay: i64,
}

#[derive(Debug, Default)]
struct Figures {
    rises: Told,
    falls: Told,
    false_alerts: u32,
}

/// Events usual in a bucket: few at night and at weekends.
fn usual(level: f64, bucket: i64) -> f64 {
    let hour = (bucket % BUCKETS_PER_DAY) as f64 / BUCKETS_PER_DAY as f64 * 24.0;
    let day = bucket / BUCKETS_PER_DAY % 7;
    let of_day = 0.4 + 0.6 * (std::f64::consts::PI * (hour - 4.0) / 20.0).sin().max(0.0);
    level * of_day * if day >= 5 { 0.5 } else { 1.0 }
}

fn evaluate(seed: u64) -> Figures {
    let judge = Judge::Baseline {
        season: Season::HourOfWeek,
        sensitivity: 6.0,
        direction: Direction::Both,
        min_expected: 10.0,
        buckets: 1,
        learn: Duration::from_secs(LEARN_DAYS as u64 * 86_400),
        absence: None,
    };
    let mut figures = Figures::default();
    for key in 0..KEYS {
        let mut chance = Chance(seed ^ (key + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let level = 20.0 + 400.0 * chance.even();
        let mut at = |day: i64| {
            let hour = 9 + (chance.even() * 8.0) as i64;
            day * BUCKETS_PER_DAY + hour * (3_600 / BUCKET_SECS)
        };
        let (rise, fall) = (at(LEARN_DAYS + 4), at(LEARN_DAYS + 18));
        let mut model = Model::default();
        let mut alerts: Vec<i64> = Vec::new();
        let mut was_told = false;
        for bucket in 0..DAYS * BUCKETS_PER_DAY {
            let mean = usual(level, bucket);
            // More uneven than chance alone would make it, as traffic is.
            let mut count = mean + 1.5 * mean.sqrt() * chance.normal();
            if (rise..rise + INCIDENT_BUCKETS).contains(&bucket) {
                count = 3.0 * mean + 3.0 * mean.sqrt();
            }
            if (fall..fall + INCIDENT_BUCKETS).contains(&bucket) {
                count = 0.05 * mean;
            }
            let from = bucket * BUCKET_SECS * 1_000_000_000;
            let is_told = model
                .take(&judge, BUCKET_SECS * 1_000_000_000, (from, 0), (count.max(0.0).round(), 0.0))
                .is_some();
            if is_told && !was_told {
                alerts.push(bucket);
            }
            was_told = is_told;
        }
        for (start, told) in [(rise, &mut figures.rises), (fall, &mut figures.falls)] {
            told.incidents += 1;
            let of_incident = start..start + INCIDENT_BUCKETS;
            if let Some(first) = alerts.iter().find(|alert| of_incident.contains(alert)) {
                told.found += 1;
                told.delay += first - start;
            }
            alerts.retain(|alert| !(start..=start + INCIDENT_BUCKETS).contains(alert));
        }
        figures.false_alerts += alerts.len() as u32;
    }
    figures
}

#[test]
fn the_baseline_finds_incidents_and_is_seldom_wrong() {
    let key_days = (KEYS as i64 * (DAYS - LEARN_DAYS)) as f64;
    for seed in [1, 2, 3] {
        let figures = evaluate(seed);
        let found = figures.rises.found + figures.falls.found;
        let precision = f64::from(found) / f64::from(found + figures.false_alerts);
        let false_per_key_day = f64::from(figures.false_alerts) / key_days;
        println!(
            "seed {seed}: {figures:?}, precision {precision:.3}, false {false_per_key_day:.4}"
        );
        assert!(figures.rises.found * 100 >= figures.rises.incidents * 90, "{figures:?}");
        assert!(figures.falls.found * 100 >= figures.falls.incidents * 70, "{figures:?}");
        assert!(false_per_key_day <= 0.02 && precision >= 0.8, "{figures:?}");
        assert!(figures.rises.delay + figures.falls.delay <= i64::from(found), "{figures:?}");
    }
}

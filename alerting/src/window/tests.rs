//! Windows against their definition, in every order, within bounds.

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;

fn window(condition: Condition, timespan_secs: i64) -> Window {
    Window {
        timespan_ns: timespan_secs * SECOND,
        lateness_ns: 3_600 * SECOND,
        condition,
        reports_hits: true,
    }
}

/// What a group has seen: (second, tag), each with its place as id.
type Points = Vec<(i64, u128)>;

/// Start, last instant at which the condition held, and number of events of each episode.
type Episodes = Vec<(i64, i64, usize)>;

/// The definition, word by word: the condition is looked at in every half second.
fn by_definition(window: &Window, points: &Points) -> Episodes {
    let span = window.timespan_ns;
    let holds = |t: i64| {
        let mut inside: Points =
            points.iter().copied().filter(|(at, _)| *at >= t - span && *at <= t).collect();
        inside.sort_unstable();
        match window.condition {
            Condition::Count(count) => inside.len() >= count,
            Condition::Distinct(count) => {
                let tags: std::collections::HashSet<_> = inside.iter().map(|p| p.1).collect();
                tags.len() >= count
            }
            Condition::Ordered(steps) => {
                let mut step = 0;
                for (_, tag) in inside {
                    step += u128::from(tag == step);
                }
                step >= steps as u128
            }
        }
    };
    let last = points.iter().map(|p| p.0).max().unwrap_or(0) + span;
    let mut episodes: Vec<(i64, i64)> = Vec::new();
    let mut t = 0;
    while t <= last {
        if holds(t) {
            match episodes.last_mut() {
                Some((_, until)) if t - *until <= span => *until = t,
                _ => episodes.push((t, t)),
            }
        }
        t += SECOND / 2;
    }
    let mut counted = std::collections::HashSet::new();
    episodes
        .into_iter()
        .map(|(start, until)| {
            let inside = points
                .iter()
                .enumerate()
                .filter(|(_, (at, _))| *at >= start - span && *at <= until + span);
            let fresh = inside.filter(|(place, _)| counted.insert(*place)).count();
            (start, until, fresh)
        })
        .collect()
}

/// Hands the points over in the order of `order`; everything is observed at once.
fn by_group(window: &Window, points: &Points, order: &[usize], restart_at: usize) -> Episodes {
    let mut group = Group::default();
    let mut events: HashMap<u128, usize> = HashMap::new();
    for (turn, place) in order.iter().enumerate() {
        if turn == restart_at {
            let mut state = Vec::new();
            group.encode_into(&mut state);
            group = Group::decode(&state).expect("own encoding");
        }
        let (at, tag) = points[*place];
        let id = *place as u128 + 1;
        let tag = if matches!(window.condition, Condition::Count(_)) { id } else { tag };
        match group.insert(window, (at, id, tag), 0).change {
            Change::Began { episode, fresh, members } => {
                assert!(members.len() >= fresh.len());
                events.insert(episode.key, fresh.len());
            }
            Change::Grew { episode, fresh, absorbed, .. } => {
                let moved: usize =
                    absorbed.iter().filter_map(|other| events.remove(&other.key)).sum();
                *events.entry(episode.key).or_default() += moved + fresh.len();
            }
            Change::Waiting | Change::Known => {}
        }
    }
    let show = |episode: &Episode| (episode.started_at, episode.held_until, events[&episode.key]);
    group.episodes().iter().map(show).collect()
}

fn shuffled(seed: u64, len: usize) -> Vec<usize> {
    let key = |place: &usize| crate::identity::hash(&[&seed.to_le_bytes(), &place.to_le_bytes()]);
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by_key(key);
    order
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn episodes_are_those_of_the_definition_in_every_order(
        points in proptest::collection::vec((0i64..90, 0u128..4), 1..60),
        count in 1usize..5,
        timespan in 1i64..15,
        kind in 0..3,
        seed in any::<u64>(),
    ) {
        let condition = match kind {
            0 => Condition::Count(count),
            1 => Condition::Distinct(count),
            _ => Condition::Ordered(count),
        };
        let window = window(condition, timespan);
        let points: Points = points.iter().map(|(at, tag)| (at * SECOND, *tag)).collect();
        let total = |episodes: &Episodes| episodes.iter().map(|e| e.2).sum::<usize>();
        let spans = |episodes: &Episodes| episodes.iter().map(|e| (e.0, e.1)).collect::<Vec<_>>();
        let expected = by_definition(&window, &points);
        let in_order: Vec<usize> = {
            let mut order: Vec<usize> = (0..points.len()).collect();
            order.sort_by_key(|place| points[*place]);
            order
        };
        for order in [in_order, shuffled(seed, points.len()), shuffled(seed ^ 1, points.len())] {
            let found = by_group(&window, &points, &order, points.len() / 2);
            prop_assert_eq!(spans(&found), spans(&expected));
            prop_assert_eq!(total(&found), total(&expected));
        }
    }

    #[test]
    fn decoding_survives_every_byte_string(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Group::decode(&bytes);
    }
}

#[test]
fn the_window_is_closed_at_both_ends() {
    let window = window(Condition::Count(2), 10);
    for (second, begins) in [(10, true), (11, false)] {
        let mut group = Group::default();
        group.insert(&window, (0, 1, 1), 0);
        let change = group.insert(&window, (second * SECOND, 2, 2), 0).change;
        assert_eq!(matches!(change, Change::Began { .. }), begins, "{second}");
    }
}

#[test]
fn an_episode_ends_after_one_timespan_and_the_lateness() {
    let window = Window { lateness_ns: 0, ..window(Condition::Count(1), 10) };
    let mut group = Group::default();
    group.insert(&window, (0, 1, 1), 0);
    assert_eq!(group.expire(20 * SECOND).len(), 0);
    let ended = group.expire(20 * SECOND + 1);
    assert_eq!((ended.len(), ended[0].held_until), (1, 10 * SECOND));
    assert!(group.is_empty());
}

#[test]
fn a_flood_stays_within_bounds_and_is_counted_exactly() {
    let flood = |condition: Condition, tags: u128, events: u128| {
        let window = window(condition, 300);
        let (mut group, mut counted) = (Group::default(), 0u64);
        for id in 0..events {
            let tag = if tags == 0 { id } else { id % tags };
            let outcome = group.insert(&window, (id as i64 * SECOND / 100, id, tag), 0);
            if let Change::Began { fresh, .. } | Change::Grew { fresh, .. } = outcome.change {
                counted += fresh.iter().map(|member| u64::from(member.weight)).sum::<u64>();
            }
        }
        (group.points.len(), group.episodes().len(), counted)
    };
    let (points, episodes, counted) = flood(Condition::Count(10), 0, 20_000);
    assert!(points < 120 && episodes == 1, "{points} points, {episodes} episodes");
    assert_eq!(counted, 20_000);
    let (points, episodes, _) = flood(Condition::Distinct(8), 3, 10_000);
    assert!(points <= 1_100 && episodes == 0, "{points} points, {episodes} episodes");
    let (points, episodes, counted) = flood(Condition::Distinct(8), 0, 10_000);
    assert!(points < 120 && episodes == 1 && counted == 10_000);
}

#[test]
fn a_sequence_is_begun_by_its_last_step_whatever_else_happened_at_that_instant() {
    let window = window(Condition::Ordered(2), 60);
    // A failure with a lower id, and one that comes only afterwards, at the instant of the success.
    let points = [(1, 9, 0), (5, 2, 0), (5, 7, 1), (5, 1, 0), (5, 8, 1)];
    for seed in 0..24 {
        let mut group = Group::default();
        for place in shuffled(seed, points.len()) {
            let (second, id, tag) = points[place];
            group.insert(&window, (second * SECOND, id, tag), 0);
        }
        let begun: Vec<u128> = group.episodes().iter().map(|one| one.started_by).collect();
        assert_eq!(begun, [7], "seed {seed}");
        assert_eq!(group.met_by(window.condition, 0, 4 * SECOND), None);
        assert_eq!(group.met_by(window.condition, 0, 9 * SECOND), Some(8));
    }
}

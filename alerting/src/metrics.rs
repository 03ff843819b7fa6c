//! Names of this crate's metrics.

/// Events the detector has looked at.
pub const EVENTS_TOTAL: &str = "logwarden_detector_events_total";
/// Events that satisfied a rule, by rule.
pub const HITS_TOTAL: &str = "logwarden_rule_hits_total";
/// Events a rule could not count because a group-by or counted field was missing, by rule.
pub const MISSING_FIELD_TOTAL: &str = "logwarden_rule_missing_field_total";
/// Events that came after their source's watermark, by rule.
pub const LATE_TOTAL: &str = "logwarden_rule_late_events_total";
/// Late events that are not looked for in what is stored: their rule remembers too much, or there are too
/// many.
pub const LATE_NOT_LOOKED_FOR_TOTAL: &str = "logwarden_rule_late_events_not_looked_for_total";
/// Groups forgotten because a rule had too many.
pub const GROUPS_EVICTED_TOTAL: &str = "logwarden_rule_groups_evicted_total";
/// Points of windows merged or forgotten because a group had too many.
pub const POINTS_COARSENED_TOTAL: &str = "logwarden_rule_points_coarsened_total";
/// Events that an alert should show and that were found neither in memory nor where they are stored.
pub const EVIDENCE_LOST_TOTAL: &str = "logwarden_alert_evidence_lost_total";
/// Alerts of which nobody was told at once because their rule was over its budget.
pub const DEMOTED_TOTAL: &str = "logwarden_alerts_demoted_total";
/// Alerts opened, by severity.
pub const ALERTS_TOTAL: &str = "logwarden_alerts_opened_total";
/// Steps of the detector that had to be tried again.
pub const STEP_RETRIES_TOTAL: &str = "logwarden_detector_step_retries_total";
/// Positions of the journal the detector could not read.
pub const JOURNAL_GAP_TOTAL: &str = "logwarden_detector_gap_records_total";
/// Notifications handed over, by notifier.
pub const NOTIFICATIONS_SENT_TOTAL: &str = "logwarden_notifications_sent_total";
/// Attempts that failed, by notifier.
pub const NOTIFICATION_ATTEMPTS_FAILED_TOTAL: &str = "logwarden_notification_attempts_failed_total";
/// Notifications given up, by notifier.
pub const NOTIFICATIONS_FAILED_TOTAL: &str = "logwarden_notifications_failed_total";
/// Notifications held back by the ceiling per hour, by notifier.
pub const NOTIFICATIONS_HELD_TOTAL: &str = "logwarden_notifications_held_total";
/// Whether a notifier's receiver is left alone because it failed too often, 0 or 1, by notifier.
pub const NOTIFIER_PAUSED: &str = "logwarden_notifier_paused";
/// How often a receiver was left alone, by notifier.
pub const NOTIFIER_PAUSES_TOTAL: &str = "logwarden_notifier_pauses_total";
/// Alerts of which people were told again because they went on.
pub const UPDATES_TOTAL: &str = "logwarden_alert_updates_total";
/// Times somebody came on duty and was told what is open.
pub const HANDOVERS_TOTAL: &str = "logwarden_rota_handovers_total";
/// Signs of life that were not given because alerts would come late.
pub const SIGNS_WITHHELD_TOTAL: &str = "logwarden_signs_of_life_withheld_total";
/// Attempts to tell of a trouble without an alert, by notifier and result (taken, failed).
pub const TROUBLES_TOLD_TOTAL: &str = "logwarden_troubles_told_directly_total";
/// Alerts that nobody acknowledged in time and of which others were told.
pub const ESCALATIONS_TOTAL: &str = "logwarden_alert_escalations_total";
/// Rule files or documents that were refused.
pub const RULE_PROBLEMS: &str = "logwarden_rule_problems";
/// Rules in use.
pub const RULES_ACTIVE: &str = "logwarden_rules_active";

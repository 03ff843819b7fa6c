//! Rules, detections, alerts and notifications.

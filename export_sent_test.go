package mfa

import "time"

// Quota is a budget that users share, as stored.
type Quota = quota

// TakeQuota takes one of limit from q, or returns how long to wait.
func TakeQuota(q *Quota, now time.Time, limit int) time.Duration { return q.add(now, limit) }

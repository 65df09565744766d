package mfatest

// SchedulesLimit is Schedules with another limit.
var SchedulesLimit = schedules

// MaxSchedules is the limit of Schedules.
const MaxSchedules = maxSchedules

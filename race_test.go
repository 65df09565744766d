//go:build race

package mfa_test

const raceDetector = true

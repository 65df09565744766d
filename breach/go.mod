module github.com/seed-1320b244/mfa/breach

go 1.26.0

module github.com/seed-1320b244/mfa

go 1.26.0

require (
	github.com/boombuler/barcode v1.1.0
	github.com/mileusna/useragent v1.3.5
	github.com/pquerna/otp v1.5.0
	golang.org/x/crypto v0.58.0
	golang.org/x/text v0.44.0
	pgregory.net/rapid v1.3.0
)

require golang.org/x/sys v0.49.0 // indirect

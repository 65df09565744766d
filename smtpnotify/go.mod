module github.com/seed-1320b244/mfa/smtpnotify

go 1.26.0

replace github.com/seed-1320b244/mfa => ../

require (
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6
	github.com/emersion/go-smtp v0.25.1
	github.com/seed-1320b244/mfa v0.0.0
	github.com/wneessen/go-mail v0.8.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/boombuler/barcode v1.1.0 // indirect
	github.com/mileusna/useragent v1.3.5 // indirect
	github.com/pquerna/otp v1.5.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

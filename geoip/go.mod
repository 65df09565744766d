module github.com/seed-1320b244/mfa/geoip

go 1.26.0

replace github.com/seed-1320b244/mfa => ../

require (
	github.com/maxmind/mmdbwriter v1.2.0
	github.com/oschwald/maxminddb-golang/v2 v2.9.0
	github.com/seed-1320b244/mfa v0.0.0
)

require (
	github.com/boombuler/barcode v1.1.0 // indirect
	github.com/mileusna/useragent v1.3.5 // indirect
	github.com/pquerna/otp v1.5.0 // indirect
	go4.org/netipx v0.0.0-20231129151722-fdeea329fbba // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

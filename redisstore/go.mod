module github.com/seed-1320b244/mfa/redisstore

go 1.26.0

replace github.com/seed-1320b244/mfa => ../

require (
	github.com/redis/go-redis/v9 v9.23.0
	github.com/seed-1320b244/mfa v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/boombuler/barcode v1.1.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/mileusna/useragent v1.3.5 // indirect
	github.com/pquerna/otp v1.5.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

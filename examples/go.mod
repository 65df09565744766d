module github.com/seed-1320b244/mfa/examples

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/seed-1320b244/mfa v0.0.0
	golang.org/x/crypto v0.58.0
)

require (
	github.com/boombuler/barcode v1.1.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/mileusna/useragent v1.3.5 // indirect
	github.com/pquerna/otp v1.5.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace github.com/seed-1320b244/mfa => ../

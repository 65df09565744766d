package device_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/device"
)

const (
	webkit = "AppleWebKit/537.36 (KHTML, like Gecko) "
	apple  = "AppleWebKit/605.1.15 (KHTML, like Gecko) "
	win    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
	mac    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
	linux  = "Mozilla/5.0 (X11; Linux x86_64) "
	phone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) "
	pad    = "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) "
	droid  = "Mozilla/5.0 (Linux; Android 10; K) "
)

// headers are what browsers and other clients send.
var headers = []struct{ header, want string }{
	{win + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"},
	{mac + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on macOS"},
	{linux + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"},
	{droid + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"},
	{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on ChromeOS"},
	{phone + apple + "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1", "Chrome on iPhone"},
	{pad + apple + "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1", "Chrome on iPad"},
	{"Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A.250205.002; wv) " + webkit + "Version/4.0 Chrome/142.0.7444.48 Mobile Safari/537.36", "Chrome on Android"},

	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on macOS"},
	{"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"},
	{"Mozilla/5.0 (X11; Ubuntu; Linux aarch64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"},
	{"Mozilla/5.0 (X11; FreeBSD amd64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on unknown system"},
	{"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"},
	{"Mozilla/5.0 (Android 14; Tablet; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"},
	{phone + apple + "FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"},

	{mac + apple + "Version/26.1 Safari/605.1.15", "Safari on macOS"}, // an iPad too
	{phone + apple + "Version/26.1 Mobile/15E148 Safari/604.1", "Safari on iPhone"},
	{pad + apple + "Version/18.7 Mobile/15E148 Safari/604.1", "Safari on iPad"},

	{win + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Windows"},
	{mac + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on macOS"},
	{droid + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0", "Edge on Android"},
	{phone + apple + "Version/18.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/604.1", "Edge on iPhone"},

	{win + webkit + "Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", "Opera on Windows"},
	{droid + webkit + "Chrome/140.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0", "Opera on Android"},
	{phone + apple + "Version/18.7 Mobile/15E148 Safari/604.1 OPT/6.1.3", "Opera on iPhone"},
	{droid + webkit + "SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"},
	{linux + webkit + "Chrome/140.0.0.0 Safari/537.36 Vivaldi/7.6.3797.58", "Vivaldi on Linux"},
	{win + webkit + "Chrome/140.0.0.0 YaBrowser/25.10.0.0 Safari/537.36", "Yandex Browser on Windows"},
	{droid + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36 Ddg/142.0", "Chrome on Android"}, // DuckDuckGo
	{"Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; en) Presto/2.12.423 Version/12.16", "Opera Mini on Android"},
	{"Mozilla/5.0 (Linux; U; Android 14; en-us; 2201117TG Build/UKQ1.231207.002) " + webkit + "Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.33.0-gn", "Mi Browser on Android"},
	{"Mozilla/5.0 (Phone; OpenHarmony 5.0) " + webkit + "Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile HuaweiBrowser/5.0.8.310", "Unknown browser on HarmonyOS"},
	{droid + webkit + "Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36", "Huawei Browser on Android"},
	{phone + apple + "Mobile/22H20 [FBAN/FBIOS;FBAV/533.0.0.34.109;FBBV/795000000;FBDV/iPhone15,2]", "Facebook app on iPhone"},
	{phone + apple + "Mobile/22H20 Instagram 400.0.0.23.73 (iPhone15,2; iOS 18_7; de_DE)", "Instagram app on iPhone"},
	{"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", "Internet Explorer on Windows"},

	{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Bot"},
	{"Mozilla/5.0 " + webkit[:len(webkit)-2] + "; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36", "Bot"},
	{"Mozilla/5.0 " + webkit + "(compatible; bingbot/2.0) Safari/537.36", "Bot"},
	{linux + webkit + "HeadlessChrome/142.0.0.0 Safari/537.36", "Bot"},
	{"facebookexternalhit/1.1", "Bot"},

	{win + webkit + "Chrome/142.0.0.0 Safari/537.36 SomethingNew/1.0", "Unknown browser on Windows"},
	{"curl/8.14.1", "Unknown browser"},
	{"Go-http-client/2.0", "Unknown browser"},
	{"okhttp/5.1.0", "Unknown browser"},
	{"python-requests/2.32.5", "Unknown browser"},
	{"", "Unknown browser"},
}

func TestLabel(t *testing.T) {
	for _, c := range headers {
		if got := device.Label(c.header); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.header, got, c.want)
		}
	}
}

// hostile are headers that no browser sends.
var hostile = []string{
	"<script>alert(1)</script>", "Firefox\r\nSet-Cookie: a=b", "\x00\x01\x02\x7f", "\x1b[31mChrome",
	"\xff\xfe\xfd", "Firefox/\xc3", "Mozilla/5.0 (\u202eWindows NT 10.0) Firefox/1.0",
	"(((((((((", "))))))", "[;[;[;/;/", "////////", "http://http://http://", "Android", "Android;", ";Android 10;;",
	"Linux Android/", "CrOS x86_64 ", "CrOS x86_64 1 2", " / / / ", "(Android", "Android 10; tablet", "FBAN/", "Instagram 1",
	"XiaoMi/MiuiBrowser/1", "XiaoMi/", "::::", "Firefox/99999999999999999999999999.9.9",
}

// TestR29Closed checks that garbage of every kind and length gives one of the
// labels of the closed list.
func TestR29Closed(t *testing.T) {
	for _, s := range slices.Concat(hostile, []string{
		strings.Repeat("A", 64<<10), strings.Repeat("Firefox/1 (", 6000), strings.Repeat("\xff", 64<<10), strings.Repeat("é", 32<<10),
	}) {
		if got := device.Label(s); !closed(got) {
			t.Errorf("%.60q gives %q", s, got)
		}
	}
	// Past 512 bytes nothing is read, and a cut through a character is harmless.
	front := win + webkit + "Chrome/142.0.0.0 Safari/537.36"
	if got := device.Label(front + strings.Repeat(" ", 512-len(front)) + " Edg/142.0.0.0"); got != "Chrome on Windows" {
		t.Errorf("reads past 512 bytes: %s", got)
	}
	if got := device.Label(front + strings.Repeat("é", 512)); !closed(got) {
		t.Errorf("cut character: %q", got)
	}
}

// closed reports whether a label is one of the closed list.
func closed(label string) bool {
	browsers := []string{
		"Chrome", "Edge", "Facebook app", "Firefox", "Huawei Browser", "Instagram app", "Internet Explorer", "Mi Browser",
		"Opera", "Opera Mini", "Safari", "Samsung Internet", "Unknown browser", "Vivaldi", "Yandex Browser",
	}
	systems := []string{
		"Android", "ChromeOS", "HarmonyOS", "iPad", "iPhone", "Linux", "macOS", "unknown system", "Windows",
	}
	if label == "Bot" || label == "Unknown browser" {
		return true
	}
	browser, system, ok := strings.Cut(label, " on ")
	return ok && slices.Contains(browsers, browser) && slices.Contains(systems, system) &&
		label != "Unknown browser on unknown system"
}

func FuzzLabel(f *testing.F) {
	for _, c := range headers {
		f.Add(c.header)
	}
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, userAgent string) {
		if got := device.Label(userAgent); !closed(got) {
			t.Errorf("%q gives %q", userAgent, got)
		}
	})
}

func BenchmarkLabel(b *testing.B) {
	for _, c := range []struct{ name, header string }{
		{"chrome", headers[0].header},
		{"garbage of 64 KiB", strings.Repeat("(;/a ", 13<<10)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				device.Label(c.header)
			}
		})
	}
}

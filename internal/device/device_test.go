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
	{win + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"}, // Brave too
	{mac + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on macOS"},
	{linux + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"},
	{droid + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"},
	{droid + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on Android tablet"},
	{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " + webkit + "Chrome/142.0.0.0 Safari/537.36", "Chrome on ChromeOS"},
	{"Mozilla/5.0 (X11; CrOS aarch64 16328.55.0) " + webkit + "Chrome/140.0.0.0 Safari/537.36", "Chrome on ChromeOS"},
	{phone + apple + "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1", "Chrome on iPhone"},
	{pad + apple + "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1", "Chrome on iPad"},
	{"Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A.250205.002; wv) " + webkit + "Version/4.0 Chrome/142.0.7444.48 Mobile Safari/537.36", "Chrome on Android"},
	{"Mozilla/5.0 (Linux; Android 14; SM-X710 Build/UP1A.231005.007; wv) " + webkit + "Version/4.0 Chrome/142.0.7444.48 Safari/537.36", "Chrome on Android tablet"},
	{"Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) " + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"}, // no robot

	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on macOS"},
	{"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"},
	{"Mozilla/5.0 (X11; Ubuntu; Linux aarch64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"},
	{"Mozilla/5.0 (X11; FreeBSD amd64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on FreeBSD"},
	{"Mozilla/5.0 (X11; OpenBSD amd64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on unknown system"},
	{"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"},
	{"Mozilla/5.0 (Android 14; Tablet; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android tablet"},
	{phone + apple + "FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"},
	{pad + apple + "FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPad"},

	{mac + apple + "Version/26.1 Safari/605.1.15", "Safari on macOS"}, // an iPad too
	{phone + apple + "Version/26.1 Mobile/15E148 Safari/604.1", "Safari on iPhone"},
	{pad + apple + "Version/18.7 Mobile/15E148 Safari/604.1", "Safari on iPad"},

	{win + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Windows"},
	{mac + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on macOS"},
	{linux + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Linux"},
	{droid + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0", "Edge on Android"},
	{phone + apple + "Version/18.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/604.1", "Edge on iPhone"},

	{win + webkit + "Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", "Opera on Windows"},
	{droid + webkit + "Chrome/140.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0", "Opera on Android"},
	{phone + apple + "Version/18.7 Mobile/15E148 Safari/604.1 OPT/6.1.3", "Opera on iPhone"},
	{"Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; en) Presto/2.12.423 Version/12.16", "Opera Mini on Android"},
	{droid + webkit + "SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"},
	{droid + webkit + "SamsungBrowser/29.0 Chrome/136.0.0.0 Safari/537.36", "Samsung Internet on Android tablet"},
	{linux + webkit + "Chrome/140.0.0.0 Safari/537.36 Vivaldi/7.6.3797.58", "Vivaldi on Linux"},
	{win + webkit + "Chrome/140.0.0.0 YaBrowser/25.10.0.0 Safari/537.36", "Yandex Browser on Windows"},
	{win + webkit + "Chrome/140.0.0.0 Whale/4.34.340.19 Safari/537.36", "Whale on Windows"},
	{droid + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36 Ddg/142.0", "DuckDuckGo on Android"},
	{mac + apple + "Version/26.1 Safari/605.1.15 Ddg/26.1", "DuckDuckGo on macOS"},
	{win + webkit + "Chrome/142.0.0.0 Safari/537.36 Ddg/142.0", "DuckDuckGo on Windows"},
	{"Mozilla/5.0 (Linux; U; Android 14; en-us; 2201117TG Build/UKQ1.231207.002) " + webkit + "Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.33.0-gn", "Mi Browser on Android"},
	{"Mozilla/5.0 (Phone; OpenHarmony 5.0) " + webkit + "Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile HuaweiBrowser/5.0.8.310", "Unknown browser on HarmonyOS"},
	{droid + webkit + "Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36", "Huawei Browser on Android"},
	{"Mozilla/5.0 (Linux; Android 11; KFTRWI) " + webkit + "Silk/142.2.1 like Chrome/142.0.0.0 Safari/537.36", "Silk on Android tablet"},
	{phone + apple + "GSA/392.0.825131550 Mobile/15E148 Safari/604.1", "Google app on iPhone"},
	{phone + apple + "Mobile/22H20 [FBAN/FBIOS;FBAV/533.0.0.34.109;FBBV/795000000;FBDV/iPhone15,2]", "Facebook app on iPhone"},
	{phone + apple + "Mobile/22H20 Instagram 400.0.0.23.73 (iPhone15,2; iOS 18_7; de_DE)", "Instagram app on iPhone"},
	{phone + apple + "Mobile/22H20", "Unknown browser on iPhone"}, // an app's own view
	{win + webkit + "Acme/2.4.0 Chrome/140.0.0.0 Electron/38.2.0 Safari/537.36", "Unknown browser on Windows"},
	{"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", "Internet Explorer on Windows"},

	{"Mozilla/5.0 (PlayStation; PlayStation 5/9.60) " + apple + "Version/17.0 Safari/605.1.15", "Safari on PlayStation"},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) " + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Xbox"},
	{"Mozilla/5.0 (Nintendo Switch; WifiWebAuthApplet) AppleWebKit/609.4 (KHTML, like Gecko) NF/6.0.3.15.4 NintendoBrowser/5.1.0.22474", "Unknown browser on Nintendo"},
	{"Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) " + webkit + "SamsungBrowser/6.0 Chrome/108.0.5359.1 TV Safari/537.36", "Samsung Internet on television"},
	{"Mozilla/5.0 (Web0S; Linux/SmartTV) " + webkit + "Chrome/120.0.6099.270 Safari/537.36", "Chrome on television"},

	{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"},
	{"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) " + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"},
	{"AdsBot-Google (+http://www.google.com/adsbot.html)", "Google robot"},
	{"Mozilla/5.0 " + webkit[:len(webkit)-2] + "; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36", "Bingbot"},
	{"Mozilla/5.0 " + webkit + "(compatible; bingbot/2.0) Safari/537.36", "Bingbot"},
	{mac + apple + "Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)", "Applebot"},
	{"Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "YandexBot"},
	{"Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "Baiduspider"},
	{"Mozilla/5.0 " + webkit[:len(webkit)-2] + "; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot"},
	{"Mozilla/5.0 " + webkit[:len(webkit)-2] + "; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ClaudeBot"},
	{"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "AhrefsBot"},
	{"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Slackbot"},
	{"TelegramBot (like TwitterBot)", "TelegramBot"},
	{linux + webkit + "HeadlessChrome/142.0.0.0 Safari/537.36", "Headless Chrome"},
	{"facebookexternalhit/1.1", "Facebook robot"},
	{"Mozilla/5.0 (compatible; NewBot/1.0)", "Bot"},
	{"Mozilla/5.0 (compatible; Shop watch; +https://example.com/about)", "Bot"},

	{"curl/8.14.1", "curl"},
	{"Wget/1.25.0", "Wget"},
	{"Go-http-client/2.0", "Go program"},
	{"okhttp/5.1.0", "okhttp"},
	{"python-requests/2.32.5", "Python program"},
	{"Python/3.13 aiohttp/3.13.1", "Python program"},
	{"Java-http-client/25", "Java program"},
	{"Apache-HttpClient/5.5 (Java/21.0.8)", "Java program"},
	{"node", "Node.js program"},
	{"Dart/3.9 (dart:io)", "Dart program"},
	{"PostmanRuntime/7.49.0", "Postman"},
	{"Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.26100.6584", "PowerShell"},
	{"WhatsApp/2.25.31.75 A", "WhatsApp"},

	{win + webkit + "Chrome/142.0.0.0 Safari/537.36 SomethingNew/1.0", "Unknown browser on Windows"},
	{"Acme/41 CFNetwork/3860.100.1 Darwin/25.0.0", "Unknown browser"},
	{"Dalvik/2.1.0 (Linux; U; Android 15; Pixel 8 Build/AP4A.250205.002)", "Unknown browser on Android"},
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

// closed reports whether a label is one of the closed list, short and printable.
func closed(label string) bool {
	if len(label) > 40 || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false
	}
	if slices.Contains(alone, label) {
		return true
	}
	browser, system, ok := strings.Cut(label, " on ")
	return ok && slices.Contains(browsers, browser) && slices.Contains(systems, system) &&
		label != "Unknown browser on unknown system"
}

var (
	alone = []string{
		"AhrefsBot", "Amazonbot", "Applebot", "Baiduspider", "Bingbot", "Bot", "Bytespider", "CCBot", "ClaudeBot", "curl", "Dart program",
		"Discordbot", "DuckDuckBot", "Facebook robot", "Go program", "Google robot", "Googlebot", "GPTBot", "Headless Chrome", "HTTPie",
		"Java program", "LinkedInBot", "Node.js program", "okhttp", "PerplexityBot", "PetalBot", "PHP program", "Postman", "PowerShell",
		"Python program", "Ruby program", "SemrushBot", "Slackbot", "TelegramBot", "Twitterbot", "Unknown browser", "UptimeRobot", "Wget",
		"WhatsApp", "YandexBot",
	}
	browsers = []string{
		"Brave", "Chrome", "DuckDuckGo", "Edge", "Facebook app", "Firefox", "Google app", "Huawei Browser", "Instagram app",
		"Internet Explorer", "Mi Browser", "Opera", "Opera Mini", "Safari", "Samsung Internet", "Silk", "TikTok app", "UC Browser",
		"Unknown browser", "Vivaldi", "Whale", "Yandex Browser",
	}
	systems = []string{
		"Android", "Android tablet", "ChromeOS", "FreeBSD", "HarmonyOS", "iPad", "iPhone", "Linux", "macOS", "Nintendo", "PlayStation",
		"television", "unknown system", "Windows", "Xbox",
	}
)

// TestR29Short builds every label that there can be.
func TestR29Short(t *testing.T) {
	for _, browser := range browsers {
		for _, system := range systems {
			if label := browser + " on " + system; len(label) > 40 {
				t.Errorf("%s has %d bytes", label, len(label))
			}
		}
	}
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
		{"robot", "Mozilla/5.0 (compatible; NewBot/1.0; +https://example.com/)"},
		{"program", "curl/8.14.1"},
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

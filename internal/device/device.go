// Package device names the browser and the system in a User-Agent header.
package device

import (
	"strings"

	"github.com/mileusna/useragent"
)

// maxHeader is how many bytes of a header are looked at. Browsers send 70 to
// 300; parsing takes time in proportion.
const maxHeader = 512

// Label returns a short name of the client that sent userAgent, for people to
// tell their devices apart: "Firefox on Windows", "Safari on iPhone". What it
// does not know is "Unknown browser", "Unknown browser on Windows" or "Firefox
// on unknown system". A program is named without a system: "curl", "Go program";
// so is a client that says it is a robot: "Googlebot", or "Bot" when it is none
// of the list.
//
// The label is put together from names in this package only: printable ASCII, at
// most 40 bytes. No byte of the header, which a stranger writes, reaches a page,
// a mail or a log through it.
//
// It proves nothing: any client can send any header, browsers send the wrong one
// on purpose (Brave says Chrome, an iPad may say Macintosh), a robot need not
// say so, and small browsers built on Chromium mostly read as Chrome. It is
// never a reason to trust a request.
func Label(userAgent string) string {
	header := userAgent[:min(len(userAgent), maxHeader)]
	if name := program(header); name != "" {
		return name
	}
	ua := useragent.Parse(header)
	if robot(header, ua) {
		return robotName(header)
	}
	browser, system := browser(header, ua.Name), system(header, ua)
	switch {
	case browser == "" && system == "":
		return "Unknown browser"
	case browser == "":
		return "Unknown browser on " + system
	case system == "":
		return browser + " on unknown system"
	}
	return browser + " on " + system
}

// browser returns our name for a browser of the parser, "" for one that is not
// on the list.
func browser(header, name string) string {
	// The parser takes some for Chrome or Safari, depending on the system.
	switch {
	case strings.Contains(header, "Ddg/"), strings.Contains(header, "DuckDuckGo/"):
		return "DuckDuckGo"
	case strings.Contains(header, "GSA/"):
		return "Google app"
	case strings.Contains(header, "Silk/"):
		return "Silk"
	}
	switch name {
	case useragent.Chrome:
		return "Chrome"
	case useragent.Firefox:
		return "Firefox"
	case useragent.Safari:
		return "Safari"
	case useragent.Edge:
		return "Edge"
	case useragent.Opera, useragent.OperaTouch:
		return "Opera"
	case useragent.OperaMini:
		return "Opera Mini"
	case useragent.SamsungBrowser:
		return "Samsung Internet"
	case useragent.Vivaldi:
		return "Vivaldi"
	case useragent.InternetExplorer:
		return "Internet Explorer"
	case "Brave":
		return "Brave"
	case "YaBrowser":
		return "Yandex Browser"
	case "Huawei Browser":
		return "Huawei Browser"
	case "Miui Browser":
		return "Mi Browser"
	case "UCBrowser":
		return "UC Browser"
	case "Whale":
		return "Whale"
	case useragent.FacebookApp:
		return "Facebook app"
	case useragent.InstagramApp:
		return "Instagram app"
	case useragent.TiktokApp:
		return "TikTok app"
	}
	return ""
}

// system returns our name for a system, "" for one that is not on the list. What
// is no computer and no phone comes first: its header names the system of one
// too.
func system(header string, ua useragent.UserAgent) string {
	switch {
	case strings.Contains(header, "PlayStation"):
		return "PlayStation"
	case strings.Contains(header, "Xbox"):
		return "Xbox"
	case strings.Contains(header, "Nintendo"):
		return "Nintendo"
	case strings.Contains(header, "SMART-TV"), strings.Contains(header, "SmartTV"), strings.Contains(header, "BRAVIA"):
		return "television"
	case strings.Contains(header, "FreeBSD"): // the parser knows it only without an architecture
		return "FreeBSD"
	}
	switch ua.OS {
	case useragent.Windows:
		return "Windows"
	case useragent.MacOS:
		return "macOS"
	case useragent.IOS:
		if ua.Device == "iPad" {
			return "iPad"
		}
		return "iPhone"
	case useragent.Android:
		// Chrome and what is built on it say "Mobile" on a phone and nothing on a tablet; others say "Tablet".
		if ua.Tablet || strings.Contains(header, "Chrome/") && !strings.Contains(header, "Mobile") {
			return "Android tablet"
		}
		return "Android"
	case useragent.Linux:
		return "Linux"
	case useragent.ChromeOS:
		return "ChromeOS"
	case useragent.Harmony:
		return "HarmonyOS"
	}
	return ""
}

// Package device names the browser and the system in a User-Agent header.
package device

import "github.com/mileusna/useragent"

// maxHeader is how many bytes of a header are looked at. Browsers send 70 to
// 300; parsing takes time in proportion.
const maxHeader = 512

// Label returns a short name of the client that sent userAgent, for people to
// tell their devices apart: "Firefox on Windows", "Safari on iPhone". What it
// does not know is "Unknown browser", "Unknown browser on Windows" or "Firefox
// on unknown system", and "Bot" is a client that says it is a robot.
//
// The label is put together from names in this package only. No byte of the
// header, which a stranger writes, reaches a page, a mail or a log through it.
//
// It proves nothing: any client can send any header, browsers send the wrong one
// on purpose (Brave says Chrome, an iPad may say Macintosh), a robot need not
// say so, and small browsers built on Chromium mostly read as Chrome. It is
// never a reason to trust a request.
func Label(userAgent string) string {
	ua := useragent.Parse(userAgent[:min(len(userAgent), maxHeader)])
	if ua.Bot || ua.Name == useragent.Bingbot {
		return "Bot"
	}
	browser, system := browser(ua.Name), system(ua.OS, ua.Device)
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
func browser(name string) string {
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
	case "YaBrowser":
		return "Yandex Browser"
	case "Huawei Browser":
		return "Huawei Browser"
	case "Miui Browser":
		return "Mi Browser"
	case useragent.FacebookApp:
		return "Facebook app"
	case useragent.InstagramApp:
		return "Instagram app"
	}
	return ""
}

// system returns our name for a system of the parser, "" for one that is not on
// the list. Of devices only those of Apple have a name.
func system(os, device string) string {
	switch os {
	case useragent.Windows:
		return "Windows"
	case useragent.MacOS:
		return "macOS"
	case useragent.IOS:
		if device == "iPad" {
			return "iPad"
		}
		return "iPhone"
	case useragent.Android:
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

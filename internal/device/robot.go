package device

import (
	"strings"

	"github.com/mileusna/useragent"
)

// programs returns the beginnings of headers that libraries and tools send unless
// they are told otherwise.
func programs() []struct{ prefix, name string } {
	return []struct{ prefix, name string }{
		{"curl/", "curl"},
		{"Wget/", "Wget"},
		{"Go-http-client/", "Go program"},
		{"python-requests/", "Python program"},
		{"python-httpx/", "Python program"},
		{"Python-urllib/", "Python program"},
		{"Python/", "Python program"}, // aiohttp
		{"okhttp/", "okhttp"},
		{"Java/", "Java program"},
		{"Java-http-client/", "Java program"},
		{"Apache-HttpClient/", "Java program"},
		{"node", "Node.js program"}, // fetch, node-fetch
		{"undici", "Node.js program"},
		{"axios/", "Node.js program"},
		{"GuzzleHttp/", "PHP program"},
		{"Ruby", "Ruby program"},
		{"Dart/", "Dart program"},
		{"PostmanRuntime/", "Postman"},
		{"HTTPie/", "HTTPie"},
		{"WhatsApp/", "WhatsApp"}, // fetches what a chat links to
	}
}

// robots returns words of headers, in lower case, by which crawlers name themselves.
func robots() []struct{ word, name string } {
	return []struct{ word, name string }{
		{"googlebot", "Googlebot"},
		{"adsbot-google", "Google robot"},
		{"mediapartners-google", "Google robot"},
		{"googleother", "Google robot"},
		{"google-inspectiontool", "Google robot"},
		{"bingbot", "Bingbot"},
		{"applebot", "Applebot"},
		{"yandexbot", "YandexBot"},
		{"baiduspider", "Baiduspider"},
		{"duckduckbot", "DuckDuckBot"},
		{"petalbot", "PetalBot"},
		{"amazonbot", "Amazonbot"},
		{"bytespider", "Bytespider"},
		{"ccbot", "CCBot"},
		{"gptbot", "GPTBot"},
		{"claudebot", "ClaudeBot"},
		{"perplexitybot", "PerplexityBot"},
		{"ahrefsbot", "AhrefsBot"},
		{"semrushbot", "SemrushBot"},
		{"slackbot", "Slackbot"},
		{"discordbot", "Discordbot"},
		{"telegrambot", "TelegramBot"},
		{"twitterbot", "Twitterbot"},
		{"linkedinbot", "LinkedInBot"},
		{"facebookexternalhit", "Facebook robot"},
		{"meta-externalagent", "Facebook robot"},
		{"uptimerobot", "UptimeRobot"},
		{"headlesschrome", "Headless Chrome"},
	}
}

// program returns our name for a program, "" for what is none of the list.
func program(header string) string {
	for _, p := range programs() {
		if strings.HasPrefix(header, p.prefix) {
			return p.name
		}
	}
	if strings.Contains(header, "PowerShell/") {
		return "PowerShell"
	}
	return ""
}

// robot reports whether a client says that it is a robot: to the parser, for
// which a web address is enough, or by a word before its version. "bot" alone
// does not do: there are phones of a make called Cubot.
func robot(header string, ua useragent.UserAgent) bool {
	return ua.Bot || strings.Contains(header, "bot/") || strings.Contains(header, "Bot/") || strings.Contains(header, "pider/")
}

// robotName returns our name for a robot, "Bot" for one that is not on the list.
func robotName(header string) string {
	header = strings.ToLower(header)
	for _, r := range robots() {
		if strings.Contains(header, r.word) {
			return r.name
		}
	}
	return "Bot"
}

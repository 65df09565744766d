package smtpnotify

import (
	"bytes"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/seed-1320b244/mfa/mfanotify"
)

// compose returns the mail as it goes over the wire, whole: a mail of which a part
// was sent must never end for want of the rest. It is text with HTML as the
// alternative, quoted-printable.
func (n *Notifier) compose(m mfanotify.Mail, to *mail.Address, id string) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(n.from)
	msg.ToMailAddress(&mail.Address{Address: to.Address})
	msg.Subject(m.Subject)
	msg.SetDate()
	// The domain of From, and not the name of this machine, which is nobody's
	// business.
	domain := n.from.Address[strings.LastIndexByte(n.from.Address, '@')+1:]
	msg.SetMessageIDWithValue(strings.ToLower(id) + "@" + domain)
	// No vacation notice comes back (RFC 3834 section 5), and none from Exchange,
	// which goes by a header of its own.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text())
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML())
	var b bytes.Buffer
	_, err := msg.WriteTo(&b)
	return b.Bytes(), err
}

package qrimage_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/qrimage"
)

// uri is a typical content, with the secret of RFC 6238.
const uri = "otpauth://totp/Example%20Co:alice%40example.com?algorithm=SHA1&digits=6&issuer=Example%20Co&period=30&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// long returns n bytes that look like an otpauth URI.
func long(n int) string {
	return (uri + "&note=" + strings.Repeat("The-quick_brown.fox~0123456789%20", 40))[:n]
}

func encode(t *testing.T, content string) qrimage.Matrix {
	t.Helper()
	m, err := qrimage.Encode(content)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func draw(t *testing.T, m qrimage.Matrix, scale int) (data []byte, img image.Image) {
	t.Helper()
	data, err := m.PNG(scale)
	if err != nil {
		t.Fatal(err)
	}
	if img, err = png.Decode(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return data, img
}

// TestScan reads the images with a scanner that shares no code with the encoder.
func TestScan(t *testing.T) {
	zbarimg, err := exec.LookPath("zbarimg")
	if err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal("zbarimg is required: ", err)
		}
		t.Skip("zbarimg is not installed: ", err)
	}
	for _, c := range []struct {
		name, content string
		scale         int
	}{
		{"one character", "A", 8},
		{"digits", "0123456789", 4},
		{"upper case", "HELLO WORLD $%*+-./:", 4},
		{"every character", ascii(), 4},
		{"uri, small", uri, 2},
		{"uri", uri, 6},
		{"uri, greatest scale", uri, qrimage.MaxScale},
		{"200 bytes", long(200), 4},
		{"256 bytes", long(256), 3},
		{"300 bytes", long(300), 5},
		{"600 bytes", long(600), 4},
		{"most bytes", long(qrimage.MaxContent), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, _ := draw(t, encode(t, c.content), c.scale)
			file := filepath.Join(t.TempDir(), "code.png")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(zbarimg, "--raw", "-q", file).Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSuffix(string(out), "\n"); got != c.content {
				t.Errorf("scanned %q, want %q", got, c.content)
			}
		})
	}
}

// ascii returns the printable characters of ASCII.
func ascii() string {
	var b strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}

func TestPNG(t *testing.T) {
	for _, c := range []struct {
		bytes, side int // modules of the smallest symbol with level M, ISO/IEC 18004 table 7
	}{{1, 21}, {14, 21}, {15, 25}, {106, 41}, {107, 45}, {287, 65}, {288, 69}, {1024, 121}} {
		m := encode(t, long(c.bytes))
		if got, want := m.Size(), c.side+8; got != want {
			t.Fatalf("%d bytes: %d modules, want %d", c.bytes, got, want)
		}
		for _, scale := range []int{1, 2, 7} {
			data, img := draw(t, m, scale)
			// Width, height, bit depth and color type of the header, 11.2.2 of the
			// PNG specification.
			size := uint32(m.Size() * scale)
			want := fmt.Appendf(nil, "IHDR%s%s\x01\x03", be32(size), be32(size))
			if !bytes.Equal(data[12:26], want) {
				t.Errorf("%d bytes, scale %d: header %q, want %q", c.bytes, scale, data[12:26], want)
			}
			checkQuietZone(t, img, 4*scale)
		}
	}
}

func be32(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// checkQuietZone checks that the margin is white up to exactly the finder
// pattern in the corner.
func checkQuietZone(t *testing.T, img image.Image, margin int) {
	t.Helper()
	inside := img.Bounds().Inset(margin)
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if !(image.Pt(x, y).In(inside)) && dark(img, x, y) {
				t.Fatalf("dark pixel at %d, %d in the quiet zone", x, y)
			}
		}
	}
	if !dark(img, inside.Min.X, inside.Min.Y) {
		t.Fatalf("the quiet zone is wider than %d", margin)
	}
}

func dark(img image.Image, x, y int) bool {
	return color.GrayModel.Convert(img.At(x, y)) == color.Gray{}
}

// TestNotMirrored looks for the module that is dark in every symbol, ISO/IEC
// 18004 section 7.9.1. Its mirror image depends on the mask. Some scanners read
// mirrored codes and some do not.
func TestNotMirrored(t *testing.T) {
	for n := range 20 {
		m := encode(t, long(n+1))
		_, img := draw(t, m, 1)
		if x, y := 4+8, m.Size()-4-8; !dark(img, x, y) {
			t.Errorf("%d bytes: module %d, %d is light", n+1, x, y)
		}
	}
}

func TestPNGScale(t *testing.T) {
	m := encode(t, uri)
	for _, scale := range []int{math.MinInt, -1, 0, qrimage.MaxScale + 1, math.MaxInt} {
		if data, err := m.PNG(scale); err == nil || data != nil {
			t.Errorf("scale %d is accepted", scale)
		}
	}
	// One image at two scales: the larger is the smaller with bigger pixels.
	_, small := draw(t, m, 1)
	_, large := draw(t, m, 5)
	for y := range large.Bounds().Dy() {
		for x := range large.Bounds().Dx() {
			if dark(large, x, y) != dark(small, x/5, y/5) {
				t.Fatalf("pixel %d, %d differs from module %d, %d", x, y, x/5, y/5)
			}
		}
	}
}

// svg is the whole structure that an SVG may have.
type svg struct {
	XMLName xml.Name   `xml:"http://www.w3.org/2000/svg svg"`
	Attrs   []xml.Attr `xml:",any,attr"`
	Rect    struct {
		Attrs []xml.Attr `xml:",any,attr"`
	} `xml:"rect"`
	Path struct {
		D     string     `xml:"d,attr"`
		Attrs []xml.Attr `xml:",any,attr"`
	} `xml:"path"`
	Other []struct {
		XMLName xml.Name
	} `xml:",any"`
	Text string `xml:",chardata"`
}

func TestSVG(t *testing.T) {
	for _, content := range []string{"A", uri, long(300), long(qrimage.MaxContent)} {
		m := encode(t, content)
		var doc svg
		if err := xml.Unmarshal([]byte(m.SVG()), &doc); err != nil {
			t.Fatal(err)
		}
		size := strconv.Itoa(m.Size())
		for part, attrs := range map[string][2]string{
			"svg": {list(doc.Attrs), "xmlns=http://www.w3.org/2000/svg viewBox=0 0 " + size + " " + size +
				" shape-rendering=crispEdges role=img aria-label=QR code"},
			"rect": {list(doc.Rect.Attrs), "width=" + size + " height=" + size + " fill=#fff"},
			"path": {list(doc.Path.Attrs), "fill=#000"},
		} {
			if attrs[0] != attrs[1] {
				t.Errorf("%s has %q, want %q", part, attrs[0], attrs[1])
			}
		}
		if len(doc.Other) != 0 || doc.Text != "" {
			t.Errorf("unexpected %v and text %q", doc.Other, doc.Text)
		}
		compare(t, m, doc.Path.D)
	}
}

func list(attrs []xml.Attr) string {
	var s []string
	for _, a := range attrs {
		s = append(s, a.Name.Local+"="+a.Value)
	}
	return strings.Join(s, " ")
}

var run = regexp.MustCompile(`^M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// compare draws the path of an SVG and compares it with the PNG. Two runs never
// touch in one row, so each is as long as it can be.
func compare(t *testing.T, m qrimage.Matrix, d string) {
	t.Helper()
	painted := make(map[image.Point]bool)
	for d != "" {
		match := run.FindStringSubmatch(d)
		if match == nil {
			t.Fatalf("path goes on with %.40q", d)
		}
		d = d[len(match[0]):]
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(match[i+1]) // digits, as the expression says
		}
		x, y, width := n[0], n[1], n[2]
		if width != n[3] || painted[image.Pt(x-1, y)] {
			t.Fatalf("%s is not one whole run", match[0])
		}
		for i := range width {
			painted[image.Pt(x+i, y)] = true
		}
	}
	_, img := draw(t, m, 1)
	for y := range m.Size() {
		for x := range m.Size() {
			if painted[image.Pt(x, y)] != dark(img, x, y) {
				t.Fatalf("module %d, %d differs between SVG and PNG", x, y)
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"empty":     "",
		"too long":  long(qrimage.MaxContent + 1),
		"64 KiB":    strings.Repeat("A", 64<<10),
		"new line":  "SECRET\n",
		"zero byte": "SECRET\x00",
		"delete":    "SECRET\x7f",
		"umlaut":    "SECRETä",
		"not UTF-8": "SECRET\xff",
	} {
		m, err := qrimage.Encode(content)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error shows the content: %v", name, err)
		}
		if m.Size() != 8 {
			t.Errorf("%s: got a matrix of %d modules", name, m.Size())
		}
	}
}

// TestR27Matrix checks that a matrix put into a log shows nothing of the
// content: two codes of one size print alike but for addresses.
func TestR27Matrix(t *testing.T) {
	address := regexp.MustCompile(`0x[0-9a-f]+`)
	var shown [2]string
	for i, content := range []string{"AAAAAAAA", "BBBBBBBB"} {
		m := encode(t, content)
		s := fmt.Sprintf("%v %+v %#v", m, m, m)
		if j, err := encoded(m); err == nil {
			s += string(j)
		}
		shown[i] = address.ReplaceAllString(s, "0x")
	}
	if shown[0] != shown[1] || len(shown[0]) > 200 {
		t.Errorf("a matrix prints as %.300q and %.300q", shown[0], shown[1])
	}
}

func TestZeroMatrix(t *testing.T) {
	var m qrimage.Matrix
	if _, img := draw(t, m, 1); img.Bounds().Dx() != 8 {
		t.Errorf("got %v", img.Bounds())
	}
	if !strings.Contains(m.SVG(), `d=""`) {
		t.Errorf("got %s", m.SVG())
	}
}

func BenchmarkEncode(b *testing.B) {
	for b.Loop() {
		if _, err := qrimage.Encode(uri); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPNG(b *testing.B) {
	m, err := qrimage.Encode(uri)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.PNG(6); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSVG(b *testing.B) {
	m, err := qrimage.Encode(uri)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		m.SVG()
	}
}

// encoded is v as JSON, whether or not there is anything to encode.
func encoded(v any) ([]byte, error) { return json.Marshal(v) }

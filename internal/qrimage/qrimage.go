// Package qrimage draws QR codes (ISO/IEC 18004) as PNG and SVG.
//
// What it draws is usually the key of an authenticator: the images are as secret
// as the text, for one viewer and never for a cache or a log.
package qrimage

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"
)

const (
	// MaxContent is the longest content in bytes. An otpauth URI has 100 to 300.
	// This many make a symbol of 121 modules a side, about as dense as a phone
	// still reads from a screen.
	MaxContent = 1024
	// MaxScale is the most pixels that a module may have on each side.
	MaxScale = 32
	// quietZone is the blank margin in modules that ISO/IEC 18004 asks for on
	// each side. Readers find no code without it, least of all on a dark page.
	quietZone = 4
)

// A Matrix is the dark and light modules of one QR code. It is immutable. The
// zero Matrix is a blank image.
type Matrix struct {
	side int // modules on each side, without the quiet zone
	// dark reports on the module at x, y, both in [0, side). It is a func so
	// that fmt and JSON, which look through unexported fields, show nothing of
	// the content.
	dark func(x, y int) bool
}

// Encode returns the QR code of content with error correction level M, which
// survives the loss of 15 percent. It refuses content that is empty, longer than
// MaxContent or not printable ASCII: without a declaration that many readers do
// not understand, a QR code of other text is read differently by each. URIs are
// ASCII. Errors do not contain the content.
//
// It takes milliseconds, far longer than drawing the Matrix: encode once.
func Encode(content string) (Matrix, error) {
	if content == "" || len(content) > MaxContent {
		return Matrix{}, fmt.Errorf("qrimage: content is not 1 to %d bytes", MaxContent)
	}
	for i := range len(content) {
		if content[i] < ' ' || content[i] > '~' {
			return Matrix{}, errors.New("qrimage: content is not printable ASCII")
		}
	}
	// Only the byte mode: in the automatic one an error quotes the content.
	code, err := qr.Encode(content, qr.M, qr.Unicode)
	if err != nil {
		return Matrix{}, errors.New("qrimage: content cannot be encoded")
	}
	side := code.Bounds().Dx()
	modules := make([]bool, side*side)
	for i := range modules {
		modules[i] = code.At(i%side, i/side) == color.Black
	}
	return Matrix{side, func(x, y int) bool { return modules[y*side+x] }}, nil
}

// Size returns the width and height in modules, quiet zone included. It is the
// viewBox of the SVG; the PNG has Size times scale pixels on each side.
func (m Matrix) Size() int { return m.side + 2*quietZone }

// PNG returns the code as a PNG of two colors with scale pixels to a module, 1
// to MaxScale. The scale is a whole number because blurred edges do not scan.
func (m Matrix) PNG(scale int) ([]byte, error) {
	if scale < 1 || scale > MaxScale {
		return nil, fmt.Errorf("qrimage: scale is not 1 to %d", MaxScale)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture{m, scale}); err != nil {
		return nil, fmt.Errorf("qrimage: encoding the PNG: %w", err)
	}
	return b.Bytes(), nil
}

// SVG returns the code as an SVG document for embedding in a page. It scales to
// the box that the page gives it. It has no script, no style and no reference,
// so that it shows under the strictest Content-Security-Policy, and no text but
// the label "QR code".
func (m Matrix) SVG() string {
	size := strconv.Itoa(m.Size())
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + size + ` ` + size +
		`" shape-rendering="crispEdges" role="img" aria-label="QR code">` +
		`<rect width="` + size + `" height="` + size + `" fill="#fff"/><path fill="#000" d="`)
	for y := range m.side {
		for x := 0; x < m.side; x++ {
			run := 0 // dark modules side by side make one rectangle
			for x+run < m.side && m.dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quietZone, y+quietZone, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// picture is a Matrix drawn to scale. The PNG encoder asks it pixel by pixel, so
// that no image is held in memory: at MaxScale the largest has 17 million.
type picture struct {
	matrix Matrix
	scale  int
}

var _ image.PalettedImage = picture{}

// ColorModel is a palette of two, which the PNG encoder writes as one bit per
// pixel.
func (p picture) ColorModel() color.Model {
	return color.Palette{color.White, color.Black}
}

func (p picture) Bounds() image.Rectangle {
	side := p.matrix.Size() * p.scale
	return image.Rect(0, 0, side, side)
}

// ColorIndexAt is 1 where a dark module covers the pixel.
func (p picture) ColorIndexAt(x, y int) uint8 {
	x, y = x/p.scale-quietZone, y/p.scale-quietZone
	if x < 0 || y < 0 || x >= p.matrix.side || y >= p.matrix.side || !p.matrix.dark(x, y) {
		return 0
	}
	return 1
}

func (p picture) At(x, y int) color.Color {
	if p.ColorIndexAt(x, y) == 1 {
		return color.Black
	}
	return color.White
}

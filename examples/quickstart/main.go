// Quickstart signs a user in twice on the terminal, with an authenticator app as the second factor.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/png"
	"log"
	"os"

	"github.com/seed-1320b244/mfa"
)

type directory struct{}

func (directory) User(_ context.Context, id string) (mfa.User, error) { return mfa.User{ID: id}, nil }

func main() {
	qrFile := flag.String("qr", os.DevNull, "write the QR code to this PNG `file` too")
	flag.Parse()
	guard := must(mfa.New(mfa.Config{
		Issuer: "Quickstart", Store: new(mfa.MemoryStore), Users: directory{}, Keys: must(mfa.ParseKeys(mfa.NewKey())),
		Policy: mfa.Policy{Rules: mfa.Rules{Require: mfa.RequireAtSignIn}},
	}))
	ctx, in := context.Background(), bufio.NewReader(os.Stdin)
	ask := func(question string) string {
		fmt.Print(question, ": ")
		return string(bytes.TrimSpace(must(in.ReadBytes('\n'))))
	}
	for range 2 { // sign-ins: the host has just compared the password
		out, err := guard.SignIn(ctx, mfa.SignIn{User: "ada", First: mfa.PasswordFirst()})
		for p := out.Pending; err == nil && out.Session == nil; p = out.Pending { // each turn is a request of a web page
			switch p.Need().Step {
			case mfa.StepEnroll:
				setup := must(p.StartTOTP(ctx, ""))
				draw(must(setup.PNG(1)))
				must("", os.WriteFile(*qrFile, must(setup.PNG(8)), 0o600))
				out, err = p.ConfirmTOTP(ctx, ask("Scan it, or type "+setup.Secret()+"\nCode from the app"))
			case mfa.StepSaveCodes:
				must(p.BackupCodes().WriteTo(os.Stdout))
				ask("Backup codes: each works once in place of the app. Press Enter when you have saved them")
				out, err = p.SaveCodes(ctx)
			default: // mfa.StepVerify
				proof := mfa.Proof{Method: mfa.TOTP, Code: ask("Code from the app, or a backup code")}
				if len(proof.Code) > 10 {
					proof.Method = mfa.BackupCode
				}
				out, err = p.Verify(ctx, proof)
			}
			if err != nil { // the user may try again, unless the flow is over
				fmt.Printf("%v. A code works once: try the next that the app shows, in 30 seconds at most.\n", err)
				out.Pending, err = guard.Pending(ctx, p.Token(), "", mfa.Client{})
			}
		}
		fmt.Printf("Signed in as %s.\n\n", must(out, err).Session.User())
	}
}

// draw prints a QR code for a dark terminal: light modules are blocks, two of them above each other to a character.
func draw(data []byte) {
	qr := must(png.Decode(bytes.NewReader(data)))
	light := func(x, y int) int { r, _, _, _ := qr.At(x, y).RGBA(); return int(r >> 15) }
	for y := 0; y < qr.Bounds().Dy(); y += 2 {
		for x := range qr.Bounds().Dx() {
			fmt.Print([]string{" ", "\u2584", "\u2580", "\u2588"}[2*light(x, y)+light(x, y+1)])
		}
		fmt.Println()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatalln("stopped:", err)
	}
	return v
}

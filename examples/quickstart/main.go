// Quickstart signs a user in twice on the terminal, with an authenticator app as the second factor.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"log"
	"os"
	"time"

	"github.com/seed-1320b244/mfa"
)

type users struct{} // the host's directory

func (users) User(_ context.Context, id string) (mfa.User, error) { return mfa.User{ID: id}, nil }

func main() {
	qrFile := flag.String("qr", "", "also write the QR code to this PNG `file`")
	flag.Parse()
	guard := must(mfa.New(mfa.Config{
		Issuer: "Quickstart", Store: new(mfa.MemoryStore), Users: users{},
		Keys:   must(mfa.ParseKeys(mfa.NewKey())), // yours is made once and kept with your other secrets
		Policy: mfa.Policy{Rules: mfa.Rules{Require: mfa.RequireAtSignIn}},
	}))
	ctx, in := context.Background(), bufio.NewScanner(os.Stdin)
	for range 2 {
		fmt.Println("The host has checked ada's password.")
		out := must(guard.SignIn(ctx, mfa.SignIn{User: "ada", First: mfa.PasswordFirst()}))
		for out.Session == nil { // each turn is one request of a web application
			p, err := must(guard.Pending(ctx, out.Pending.Token(), "", mfa.Client{})), error(nil)
			switch p.Need().Step {
			case mfa.StepEnroll:
				show(must(p.StartTOTP(ctx, "")), *qrFile)
				out, err = p.ConfirmTOTP(ctx, ask(in, "Code from the app"))
			case mfa.StepSaveCodes:
				fmt.Println("Backup codes, each good for one sign-in without the app:")
				must(p.BackupCodes().WriteTo(os.Stdout))
				ask(in, "Keep them safe, then press Enter")
				out, err = p.SaveCodes(ctx)
			case mfa.StepVerify:
				proof := mfa.Proof{Method: mfa.TOTP, Code: ask(in, "Code from the app, or a backup code")}
				if len(proof.Code) > 10 {
					proof.Method = mfa.BackupCode
				}
				out, err = p.Verify(ctx, proof)
			}
		}
	}
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"github.com/seed-1320b244/mfa"
)

// What is reached from a link in a mail: a new password, and an earlier address. A
// GET shows what the link does and does nothing: programs that read mail open links.

// jobs runs what an answer does not wait for, a few at a time. A mail that takes
// time must not tell whether there was one.
type jobs struct {
	queue chan func(context.Context) error
}

const (
	jobsAtOnce  = 4
	jobsWaiting = 100 // each holds a name and little else
)

func newJobs() jobs { return jobs{make(chan func(context.Context) error, jobsWaiting)} }

// add puts a job in the queue. It reports false when that is full.
func (j jobs) add(job func(context.Context) error) bool {
	select {
	case j.queue <- job:
		return true
	default:
		return false
	}
}

// start begins to run jobs. It returns a func that runs those which wait and ends it.
func (j jobs) start(log *slog.Logger) (stop func()) {
	run := func(job func(context.Context) error) {
		if err := job(context.Background()); err != nil { // that of Recover takes 30 seconds at most
			log.Error("job failed", "error", err)
		}
	}
	done := make(chan struct{})
	work := func() {
		for {
			select {
			case job := <-j.queue:
				run(job)
				continue
			default:
			}
			select {
			case job := <-j.queue:
				run(job)
			case <-done:
				return
			}
		}
	}
	var running sync.WaitGroup
	for range jobsAtOnce {
		running.Go(work)
	}
	return func() {
		close(done)
		running.Wait()
	}
}

// link returns an address for a mail. It begins with what is configured, never with
// what a request says of its host: that is the choice of whoever sends the request.
func link(base, path, token string) string {
	if token == "" {
		return ""
	}
	return base + path + "?token=" + url.QueryEscape(token)
}

func (a *app) recoverPage(w http.ResponseWriter, r *http.Request) { a.render(w, r, "recover", nil) }

// recoverSentPage is the same for every name.
func (a *app) recoverSentPage(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, "recover-sent", nil)
}

func (a *app) recover(w http.ResponseWriter, r *http.Request) {
	job, err := a.guard.Recover(r.Context(), r.PostFormValue("name"), a.web.Client(r))
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	http.Redirect(w, r, "/recover/sent", http.StatusSeeOther)
	if !a.jobs.add(job) {
		a.log.ErrorContext(r.Context(), "too many jobs: a link to a new password was not sent")
	}
}

// private keeps the token in a page's address from the Referer of whatever the page
// leads to. Its form then says "Origin: null", and a browser that knows no
// Sec-Fetch-Site either (before 2023) is refused: such a one has no business here.
func private(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		next(w, r)
	}
}

func (a *app) resetPage(w http.ResponseWriter, r *http.Request) {
	a.showReset(w, r, r.FormValue("token"), "", nil)
}

// showReset asks nobody to sign in, and so does not know whose password it is.
func (a *app) showReset(w http.ResponseWriter, r *http.Request, token, password string, refused error) {
	f, err := a.passwordForm(r, "", password, refused)
	f.Token = token
	a.showForm(w, r, "reset", f, err)
}

func (a *app) reset(w http.ResponseWriter, r *http.Request) {
	token, password := r.PostFormValue("token"), r.PostFormValue("new")
	err := a.guard.ResetPassword(r.Context(), token, password, a.web.Client(r))
	if errors.Is(err, mfa.ErrWeak) {
		a.showReset(w, r, token, password, err)
		return
	}
	a.followed(w, r, "/sign-in?done=reset", err)
}

// followed ends what a link was for.
func (a *app) followed(w http.ResponseWriter, r *http.Request, to string, err error) {
	switch {
	case err == nil:
		http.Redirect(w, r, to, http.StatusSeeOther)
	case errors.Is(err, mfa.ErrRefused):
		http.Redirect(w, r, r.URL.Path+"/over", http.StatusSeeOther)
	default:
		a.web.Next(w, r, mfa.Outcome{}, err)
	}
}

// overPage says that a link is used, over or not a whole one.
func (a *app) overPage(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, "link-over", map[string]bool{"Reset": r.URL.Path == "/reset/over"})
}

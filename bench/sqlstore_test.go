package bench

import (
	"context"
	crand "crypto/rand"
	"database/sql"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/v2"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// A database is where benchmarks make tables of their own.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
}

// onDatabases runs a benchmark on each.
func onDatabases(b *testing.B, bench func(b *testing.B, db database)) {
	for _, d := range []struct {
		name, driver, dsn string
		dialect           sqlstore.Dialect
	}{
		{"postgres", "pgx", environment("MFA_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test?sslmode=disable"), sqlstore.PostgreSQL},
		{"mariadb", "mysql", environment("MFA_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test?interpolateParams=true"), sqlstore.MySQL},
		{"sqlite", "sqlite", "", sqlstore.SQLite},
	} {
		b.Run("db="+d.name, func(b *testing.B) {
			dsn := d.dsn
			if dsn == "" {
				dsn = "file:" + filepath.Join(b.TempDir(), "bench.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=mmap_size(4294967296)"
			}
			db, err := sql.Open(d.driver, dsn)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = db.Close() })
			db.SetMaxOpenConns(inFlight)
			db.SetMaxIdleConns(inFlight)
			if err := db.PingContext(b.Context()); err != nil {
				absent(b, "no %s answers: %v", d.name, err)
			}
			bench(b, database{db, d.dialect})
		})
	}
}

// store returns a store with a table of its own, dropped when the benchmark ends.
func (db database) store(b *testing.B) (store *sqlstore.Store, table string) {
	b.Helper()
	prefix := "bench_" + strings.ToLower(crand.Text()[:12]) + "_"
	if err := sqlstore.Migrate(b.Context(), db.DB, db.dialect, prefix); err != nil {
		b.Fatal(err)
	}
	db.dropAfter(b, prefix+"records")
	store, err := sqlstore.New(db.DB, db.dialect, sqlstore.Options{Prefix: prefix})
	if err != nil {
		b.Fatal(err)
	}
	return store, prefix + "records"
}

func (db database) dropAfter(b *testing.B, table string) {
	b.Cleanup(func() { _, _ = db.Exec("DROP TABLE IF EXISTS " + table) })
}

func (db database) execute(b *testing.B, query string, args ...any) {
	b.Helper()
	if _, err := db.ExecContext(b.Context(), query, args...); err != nil {
		b.Fatal(err)
	}
}

// bind writes the placeholders of a query, ?, as the database does.
func (db database) bind(query string) string {
	if db.dialect != sqlstore.PostgreSQL {
		return query
	}
	var text strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			text.WriteString("$" + strconv.Itoa(i))
		}
		text.WriteString(part)
	}
	return text.String()
}

// insert adds rows of as many columns, hundreds with one statement.
func (db database) insert(b *testing.B, table string, rows [][]any) {
	b.Helper()
	tx, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Rollback()
	for len(rows) > 0 {
		n := min(len(rows), 500)
		row := "(?" + strings.Repeat(", ?", len(rows[0])-1) + ")"
		var args []any
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		query := db.bind("INSERT INTO " + table + " VALUES " + row + strings.Repeat(", "+row, n-1))
		if _, err := tx.ExecContext(b.Context(), query, args...); err != nil {
			b.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// keep stores records.
func (db database) keep(b *testing.B, table string, users [][]mfa.Record) {
	b.Helper()
	var rows [][]any
	for _, records := range users {
		for _, r := range records {
			expires := int64(0)
			if !r.Expires.IsZero() {
				expires = r.Expires.Unix()
			}
			rows = append(rows, []any{[]byte(r.Owner), r.Kind, r.ID, r.Version, expires, r.Data})
		}
	}
	db.insert(b, table, rows)
}

// settle has the database do now what it would do later about a table just filled.
func (db database) settle(b *testing.B, table string) {
	b.Helper()
	switch db.dialect {
	case sqlstore.PostgreSQL:
		db.execute(b, "VACUUM ANALYZE "+table)
	case sqlstore.MySQL:
		db.execute(b, "ANALYZE TABLE "+table)
	}
}

const oneRow = " WHERE owner = ? AND kind = ? AND id = ?"

// selectOne is the floor: one SELECT of one row by its key, through database/sql.
func (db database) selectOne(table string) func(ctx context.Context, k mfa.Key) error {
	query := db.bind("SELECT version, expires, data FROM " + table + oneRow)
	return func(ctx context.Context, k mfa.Key) error {
		var version string
		var expires int64
		var data []byte
		return db.QueryRowContext(ctx, query, []byte(k.Owner), k.Kind, k.ID).Scan(&version, &expires, &data)
	}
}

// BenchmarkSQLSession compares the reads of a request with one SELECT of one row,
// and on PostgreSQL with what scs does in its place.
func BenchmarkSQLSession(b *testing.B) {
	onDatabases(b, func(b *testing.B, db database) {
		var contests []contest
		for _, n := range sizes(b) {
			contests = append(contests, db.sessions(b, n))
		}
		compare(b, contests...)
	})
}

func (db database) sessions(b *testing.B, n int) contest {
	b.Helper()
	store, table := db.store(b)
	p := signIn(b, n, func(users [][]mfa.Record) { db.keep(b, table, users) })
	db.settle(b, table)
	one := db.selectOne(table)
	operations := append([]operation{{name: "SELECT", do: func(ctx context.Context, _ int) error {
		return one(ctx, p.key())
	}}}, p.reads(b, store)...)
	if db.dialect == sqlstore.PostgreSQL {
		operations = append(operations, db.scs(b, n))
	}
	return contest{name: "@" + strconv.Itoa(n), turn: 50 * inFlight, operations: operations}
}

// scs fills n sessions of scs and returns what its middleware does for a request.
func (db database) scs(b *testing.B, n int) operation {
	b.Helper()
	table := "bench_" + strings.ToLower(crand.Text()[:12]) + "_sessions"
	db.execute(b, "CREATE TABLE "+table+" (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)")
	db.dropAfter(b, table)
	data, deadline := encodedSession(b)
	tokens := make([]string, n)
	var rows [][]any
	for i := range tokens {
		tokens[i] = crand.Text()
		rows = append(rows, []any{tokens[i], data, deadline})
	}
	db.insert(b, table, rows)
	db.execute(b, "CREATE INDEX ON "+table+" (expiry)")
	db.settle(b, table)
	manager := scs.New()
	manager.Store = postgresstore.NewWithConfig(db.DB, postgresstore.Config{TableName: table})
	return operation{name: "scs", do: loadSCS(manager, tokens)}
}

// BenchmarkSQLVerify compares the request that answers the code page, from the
// flow's token to the new session, with what an application does that keeps the
// same in tables of its own: one SELECT, then three writes in a transaction.
func BenchmarkSQLVerify(b *testing.B) {
	const users, turn = 512, 64
	v := enrollMany(b, users)
	onDatabases(b, func(b *testing.B, db database) {
		compare(b, contest{turn: turn, operations: []operation{db.byHand(b, v), db.verification(b, v)}})
	})
}

// enrolledMany are users with an authenticator and a history as long as it gets,
// and all that a store holds of them.
type enrolledMany struct {
	*mfatest.Kit
	apps     []*mfatest.Authenticator
	sessions []string // tokens
	browsers []string // likewise: of the one that she always signs in with
	records  [][]mfa.Record
}

func userID(i int) string { return "user-" + strconv.Itoa(i) }

func enrollMany(b *testing.B, n int) *enrolledMany {
	b.Helper()
	v := &enrolledMany{mfatest.New(b, func(c *mfa.Config) { c.OnEvent = nil }), nil, make([]string, n), make([]string, n), make([][]mfa.Record, n)}
	for i := range n {
		v.Users.Add(mfa.User{ID: userID(i)})
		app, session, _ := v.Enroll(b, userID(i))
		v.apps, v.sessions[i], v.browsers[i] = append(v.apps, app), session.Token(), v.Browsers(userID(i))[0]
	}
	flows := make([]string, n)
	for range 25 {
		v.Clock.Advance(time.Hour)
		together(b, n, v.signIn(v.Guard, flows))
		together(b, n, v.verify(v.Guard, flows))
	}
	together(b, n, func(ctx context.Context, i int) (err error) {
		v.records[i], err = v.Config.Store.List(ctx, "u/"+userID(i))
		return err
	})
	return v
}

// signIn has a user sign in with her password, in the browser that has her last
// session, and keeps the token of her flow.
func (v *enrolledMany) signIn(g *mfa.Guard, flows []string) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		i %= len(flows)
		out, err := g.SignIn(ctx, mfa.SignIn{
			User: userID(i), First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Presented: []string{v.sessions[i]},
			Browsers: []string{v.browsers[i]},
		})
		if err == nil {
			flows[i] = out.Pending.Token()
		}
		return err
	}
}

// verify answers the code page.
func (v *enrolledMany) verify(g *mfa.Guard, flows []string) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		i %= len(flows)
		p, err := g.Pending(ctx, flows[i], "", mfatest.Laptop())
		if err != nil {
			return err
		}
		out, err := p.Verify(ctx, mfa.Proof{Method: mfa.TOTP, Code: v.apps[i].Code(v.Clock.Now())})
		if err == nil {
			v.sessions[i] = out.Session.Token()
		}
		return err
	}
}

// verification is that request, of one user after the other.
func (db database) verification(b *testing.B, v *enrolledMany) operation {
	b.Helper()
	store, table := db.store(b)
	db.keep(b, table, v.records)
	db.settle(b, table)
	c := v.Config
	c.Store = store
	guard, err := mfa.New(c)
	if err != nil {
		b.Fatal(err)
	}
	flows := make([]string, len(v.apps))
	mine := *v // what a database was told, the others were not
	mine.sessions = slices.Clone(v.sessions)
	signIn, verify := mine.signIn(guard, flows), mine.verify(guard, flows)
	return operation{
		name: "verify", do: verify, prepare: signIn,
		begin: func() { v.Clock.Advance(20 * time.Minute) }, // flows of earlier turns are over
	}
}

// byHand reads an account, and in one transaction replaces it, deletes the flow
// and creates a session.
func (db database) byHand(b *testing.B, v *enrolledMany) operation {
	b.Helper()
	_, table := db.store(b)
	db.keep(b, table, v.records)
	db.settle(b, table)
	accounts, versions, flows := make([]mfa.Record, len(v.apps)), make([]string, len(v.apps)), make([]string, len(v.apps))
	for i, records := range v.records {
		at := slices.IndexFunc(records, func(r mfa.Record) bool { return r.Kind == "account" })
		accounts[i], versions[i] = records[at], records[at].Version
	}
	insert := db.bind("INSERT INTO " + table + " VALUES (?, ?, ?, ?, ?, ?)")
	replace := db.bind("UPDATE " + table + " SET version = ?, data = ?" + oneRow + " AND version = ?")
	end := db.bind("DELETE FROM " + table + oneRow)
	one, session := db.selectOne(table), make([]byte, 200)
	prepare := func(ctx context.Context, i int) error {
		i %= len(flows)
		flows[i] = crand.Text()
		_, err := db.ExecContext(ctx, insert, []byte(accounts[i].Owner), "pending", flows[i], "v", int64(0), session)
		return err
	}
	do := func(ctx context.Context, i int) error {
		i %= len(flows)
		owner, flow := []byte(accounts[i].Owner), flows[i]
		if err := one(ctx, accounts[i].Key); err != nil {
			return err
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, replace, flow, accounts[i].Data, owner, "account", "", versions[i]); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, end, owner, "pending", flow); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insert, owner, "session", flow, "v", int64(0), session); err != nil {
			return err
		}
		versions[i] = flow
		return tx.Commit()
	}
	return operation{name: "by-hand", do: do, prepare: prepare}
}

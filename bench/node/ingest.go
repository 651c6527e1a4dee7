package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/sqlite"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/node"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// flowsOf is how many flows a report of the ingest's measurement has, and taps
// how many taps send them.
const (
	flowsOf = 5000
	taps    = 4
)

func reportsOf(n int, seed uint64) []*network.Report {
	out := make([]*network.Report, n)
	now := time.Now()
	for i := range out {
		tap := network.TapID(fmt.Sprintf("tap%d", i%taps))
		id := network.Identity{Tap: tap, Boot: reporttest.Boot(seed), Sequence: uint64(i/taps + 1)}
		out[i] = reporttest.New(seed+uint64(i), id, now, reporttest.Size{Flows: flowsOf})
	}
	return out
}

// openNode migrates a database and makes a node with its partitions.
func openNode(ctx context.Context, db *database.DB) (*node.Node, error) {
	if err := database.Migrate(ctx, db, node.Migrations()); err != nil {
		return nil, err
	}
	n, err := node.New(node.DefaultConfig(), node.Deps{DB: db})
	if err != nil {
		return nil, err
	}
	_, err = n.Store().MakePartitions(ctx)
	return n, err
}

// overHTTPS sends the reports as taps do, and returns flows per second from
// the first request to the last answer.
func overHTTPS(ctx context.Context, n *node.Node, reports []*network.Report, senders int) (float64, error) {
	dir, err := os.MkdirTemp("", "rind-bench-ca-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		return 0, err
	}
	cert, err := ca.ServerCertificate([]string{"127.0.0.1"})
	if err != nil {
		return 0, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := &http.Server{Handler: n.Handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	defer func() { _ = server.Close() }()
	tokens := map[network.TapID]string{}
	bodies := make([][]byte, len(reports))
	for i, r := range reports {
		if bodies[i], err = report.Encode(r); err != nil {
			return 0, err
		}
		if tokens[r.Tap] == "" {
			if tokens[r.Tap], err = n.Ingest().AddTap(ctx, string(r.Tap), 0); err != nil {
				return 0, err
			}
		}
	}
	client, err := pki.ClientTLSFor("127.0.0.1", ca.Pin(), "")
	if err != nil {
		return 0, err
	}
	http1 := &http.Client{Transport: &http.Transport{TLSClientConfig: client, MaxIdleConnsPerHost: senders}}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var working sync.WaitGroup
	start := time.Now()
	for range senders {
		working.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(reports) {
					return
				}
				if err := post(ctx, http1, "https://"+listener.Addr().String()+"/api/v1/reports", tokens[reports[i].Tap], bodies[i], func(time.Duration) { time.Sleep(20 * time.Millisecond) }); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	working.Wait()
	took := time.Since(start)
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(len(reports)*flowsOf) / took.Seconds(), nil
}

// post delivers a body, and again after a pause while the node says that it is
// behind.
func post(ctx context.Context, client *http.Client, url, token string, body []byte, pause func(retryAfter time.Duration)) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", report.ContentType)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch {
		case err != nil:
			return err
		case resp.StatusCode == http.StatusOK:
			return nil
		case resp.StatusCode != http.StatusTooManyRequests:
			return fmt.Errorf("the node answers %s: %s", resp.Status, text)
		}
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			return fmt.Errorf("the node does not say when to try again: %w", err)
		}
		pause(time.Duration(seconds) * time.Second)
	}
}

var flowNames = []string{"id", "tap", "start_us", "end_us", "src", "dst", "src_port", "dst_port", "proto", "vlan", "inner_vlan",
	"src_mac", "dst_mac", "src_packets", "dst_packets", "src_bytes", "dst_bytes", "src_flags", "dst_flags", "state", "app", "ended", "seed",
	"tunnel", "tunnel_id", "src_ttl", "dst_ttl", "client_rtt_us", "server_rtt_us", "src_retrans", "dst_retrans", "src_zero_windows", "dst_zero_windows", "fingerprint"}

// rowOf is a flow as values.
func rowOf(r *network.Report, i int) []any {
	f := &r.Flows[i]
	ended := int64(0)
	if f.Ended {
		ended = 1
	}
	return []any{int64(i), string(r.Tap), f.Start.UnixMicro(), f.End.UnixMicro(), addr(f.Source), addr(f.Dest), int64(f.SrcPort), int64(f.DstPort),
		int64(f.Proto), int64(f.VLAN), int64(f.InnerVLAN), f.SrcMAC[:], f.DstMAC[:], int64(f.SrcPkts), int64(f.DstPkts), int64(f.SrcBytes), int64(f.DstBytes),
		int64(f.SrcFlags), int64(f.DstFlags), int64(f.State), f.App, ended, int64(r.Seed), int64(f.Tunnel), int64(f.TunnelID), int64(f.SrcTTL), int64(f.DstTTL),
		f.ClientRTT.Microseconds(), f.ServerRTT.Microseconds(), int64(f.SrcRetrans), int64(f.DstRetrans), int64(f.SrcZeroWin), int64(f.DstZeroWin), f.Fingerprint}
}

func addr(a netip.Addr) []byte { return database.Addr16(a) }

func rowsOf(r *network.Report) [][]any {
	rows := make([][]any, len(r.Flows))
	for i := range rows {
		rows[i] = rowOf(r, i)
	}
	return rows
}

// ours takes the reports in a schema of its own, from so many senders at once.
func ours(ctx context.Context, e *engine, reports []*network.Report, senders int) (float64, error) {
	db, err := e.schema(ctx, "ours")
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	n, err := openNode(ctx, db)
	if err != nil {
		return 0, err
	}
	began := cpu()
	rate, err := overHTTPS(ctx, n, reports, senders)
	if err != nil {
		return 0, err
	}
	fmt.Printf("  %d at once: %.0f flows/s, %.1f ms of CPU of taps and node for a report\n", senders, rate, (cpu()-began).Seconds()*1000/float64(len(reports)))
	return rate, counted(ctx, db, len(reports)*flowsOf)
}

// measureIngest compares a node with COPY over one connection, in both of its
// forms, and with single inserts. What goes through COPY was made before the
// clock starts: values for pgx's CopyFrom, and bytes as they go over the wire
// for the binary form.
func measureIngest(ctx context.Context, e *engine, n int) error {
	fmt.Println("ingest: flows per second, through HTTPS and committed")
	reports := reportsOf(n, 1)
	four, err := ours(ctx, e, reports, 4)
	if err != nil {
		return err
	}
	one, err := ours(ctx, e, reports, 1)
	if err != nil {
		return err
	}
	binary, err := copyBinary(ctx, e, reports)
	if err != nil {
		return err
	}
	values, single, err := copyValues(ctx, e, reports)
	if err != nil {
		return err
	}
	result("ingest-vs-copy", four, values, ">= 0.6")
	result("ingest-vs-copy-one", one, values, ">= 0.6")
	result("ingest-vs-binary", four, binary, "-")
	result("ingest-vs-binary-one", one, binary, "-")
	result("ingest-vs-rows", four, single, ">= 6")
	return nil
}

// raw opens a bare connection to a schema with the node's tables.
func raw(ctx context.Context, e *engine) (*pgx.Conn, error) {
	db, err := e.schema(ctx, "raw")
	if err != nil {
		return nil, err
	}
	_, err = openNode(ctx, db)
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, e.url("raw"))
}

// copyValues measures pgx's CopyFrom, and then single inserts.
func copyValues(ctx context.Context, e *engine, reports []*network.Report) (copied, single float64, err error) {
	conn, err := raw(ctx, e)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	batches := make([][][]any, len(reports))
	for i, r := range reports {
		batches[i] = rowsOf(r)
	}
	start := time.Now()
	for _, rows := range batches {
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{"flows"}, flowNames, pgx.CopyFromRows(rows)); err != nil {
			return 0, 0, err
		}
	}
	copied = float64(len(reports)*flowsOf) / time.Since(start).Seconds()
	text := insertText("flows", "$")
	start = time.Now()
	for _, row := range batches[0] {
		if _, err := conn.Exec(ctx, text, row...); err != nil {
			return 0, 0, err
		}
	}
	return copied, float64(len(batches[0])) / time.Since(start).Seconds(), nil
}

// copyBinary measures COPY … BINARY of bytes that are there already: what the
// server itself takes.
func copyBinary(ctx context.Context, e *engine, reports []*network.Report) (float64, error) {
	conn, err := raw(ctx, e)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	columns, err := typed(ctx, conn)
	if err != nil {
		return 0, err
	}
	batches := make([][]byte, len(reports))
	for i, r := range reports {
		if batches[i], err = binaryRows(columns, rowsOf(r)); err != nil {
			return 0, err
		}
	}
	text := `COPY flows ("` + strings.Join(flowNames, `", "`) + `") FROM STDIN BINARY`
	start := time.Now()
	for _, rows := range batches {
		if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(rows), text); err != nil {
			return 0, err
		}
	}
	return float64(len(reports)*flowsOf) / time.Since(start).Seconds(), nil
}

// typed asks what the columns of flows are.
func typed(ctx context.Context, conn *pgx.Conn) ([]database.Column, error) {
	types := map[string]database.ColumnType{"bigint": database.Int64, "integer": database.Int32, "smallint": database.Int16, "text": database.String, "bytea": database.Bytes}
	all := make([]database.Column, len(flowNames))
	for i, name := range flowNames {
		var kind string
		err := conn.QueryRow(ctx, `SELECT data_type FROM information_schema.columns WHERE table_schema = 'raw' AND table_name = 'flows' AND column_name = $1`, name).Scan(&kind)
		if err != nil {
			return nil, err
		}
		all[i] = database.Column{Name: name, Type: types[kind]}
	}
	return all, nil
}

// binaryRows writes rows as COPY takes them in binary: a signature, no flags,
// no extension, and -1 values at the end.
func binaryRows(columns []database.Column, rows [][]any) ([]byte, error) {
	r := database.NewRow(columns, true)
	for _, row := range rows {
		r.Begin()
		for _, v := range row {
			switch v := v.(type) {
			case int64:
				r.Int(v)
			case string:
				r.Text(v)
			case []byte:
				r.Bytes(v)
			}
		}
		if err := r.End(); err != nil {
			return nil, err
		}
	}
	out := append([]byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"), r.Take()...)
	return append(out, 0xff, 0xff), nil
}

func counted(ctx context.Context, db *database.DB, want int) error {
	var n int
	if err := db.QueryRow(ctx, "SELECT COUNT(*) FROM flows").Scan(&n); err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("%d flows are in the database, %d were sent", n, want)
	}
	return nil
}

func insertText(table, mark string) string {
	var b bytes.Buffer
	b.WriteString("INSERT INTO " + table + " (")
	for i, name := range flowNames {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	b.WriteString(") VALUES (")
	for i := range flowNames {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s%d", mark, i+1)
	}
	return b.String() + ")"
}

// measureSQLite compares a node on SQLite with a loop over one prepared
// statement into the same table, in transactions of as many rows.
func measureSQLite(ctx context.Context, n int) (err error) {
	fmt.Println("ingest on SQLite: flows per second, through HTTPS and committed")
	dir, err := os.MkdirTemp("/var/tmp", "rind-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	reports := reportsOf(n/3+1, 1000)
	db, err := sqlite.Open(ctx, filepath.Join(dir, "ours.db"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ours, err := openNode(ctx, db)
	if err != nil {
		return err
	}
	rate, err := overHTTPS(ctx, ours, reports, 4)
	if err != nil {
		return err
	}
	if err := counted(ctx, db, len(reports)*flowsOf); err != nil {
		return err
	}
	bare, err := bareLoop(ctx, filepath.Join(dir, "raw.db"), reports)
	if err != nil {
		return err
	}
	result("ingest-sqlite", rate, bare, ">= 0.6")
	return nil
}

// bareLoop inserts the same rows into a partition that a first report made.
func bareLoop(ctx context.Context, path string, reports []*network.Report) (float64, error) {
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	n, err := openNode(ctx, db)
	if err != nil {
		return 0, err
	}
	err = db.Tx(ctx, func(tx *database.Tx) error { return n.Store().Insert(ctx, tx, reports[0]) })
	if err != nil {
		return 0, err
	}
	var table string
	if err := db.QueryRow(ctx, "SELECT name FROM partitions WHERE parent = 'flows' ORDER BY from_us DESC LIMIT 1").Scan(&table); err != nil {
		return 0, err
	}
	plain, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-4096)&_pragma=busy_timeout(10000)")
	if err != nil {
		return 0, err
	}
	defer func() { _ = plain.Close() }()
	plain.SetMaxOpenConns(1)
	batches := make([][][]any, len(reports))
	for i, r := range reports {
		batches[i] = rowsOf(r)
	}
	start := time.Now()
	for _, rows := range batches {
		if err := prepared(ctx, plain, insertText(table, "$"), rows); err != nil {
			return 0, err
		}
	}
	return float64(len(reports)*flowsOf) / time.Since(start).Seconds(), nil
}

// prepared inserts rows one by one in a transaction.
func prepared(ctx context.Context, db *sql.DB, text string, rows [][]any) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	one, err := tx.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	defer func() { _ = one.Close() }()
	for _, row := range rows {
		if _, err := one.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

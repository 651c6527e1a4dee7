// Package enrich adds to what taps see what this node knows: the vendor of a
// hardware address (IEEE's list), country and autonomous system of an address
// (MMDB files), and names, from the inventory and from DNS answers seen.
//
// The files are the operator's: paths, which are read again when they change,
// or URLs, which are asked for changes on schedule. What was read last stays in
// use until something better has been read in full. Everything here can be
// fetched or learned again, so it is per node and not in the database.
package enrich

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// Service answers what is known. Use New. Its lookups may be called at any
// time, by any number of goroutines.
type Service struct {
	cfg     Config
	deps    Deps
	geoip   atomic.Pointer[geoDB]
	asn     atomic.Pointer[geoDB]
	oui     atomic.Pointer[vendors]
	names   *names
	sources []*source
	metrics *metrics

	stop    context.CancelFunc
	working sync.WaitGroup
}

var (
	_ lifecycle.Component = (*Service)(nil)
	_ store.Enricher      = (*Service)(nil)
)

// New makes a service that has read nothing yet.
func New(cfg Config, deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Client == nil {
		deps.Client = &http.Client{Timeout: 10 * time.Minute, CheckRedirect: onlyHTTPS}
	}
	s := &Service{cfg: cfg, deps: deps, names: newNames(cfg.Names, cfg.NameTTL)}
	s.metrics = newMetrics(deps.Metrics, s.names.size)
	s.sources = s.list()
	return s
}

// onlyHTTPS follows up to ten redirections, none of them to plain HTTP.
func onlyHTTPS(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "https" || len(via) >= 10 {
		return errs.New(errs.Unavailable, "the server leads on to %s, which is not followed", bare(r.URL.String()))
	}
	return nil
}

// list is every file that the configuration names.
func (s *Service) list() []*source {
	var all []*source
	add := func(key, file, from string, use func([]byte) (int, error)) {
		if from != "" {
			all = append(all, newSource("enrich."+key, file, from, s.cfg, s.deps, s.metrics, use))
		}
	}
	add("geoip", "geoip.mmdb", s.cfg.GeoIP, loader(&s.geoip, openGeo))
	add("asn", "asn.mmdb", s.cfg.ASN, loader(&s.asn, openGeo))
	add("oui", "oui.txt", s.cfg.OUI, loader(&s.oui, readVendors))
	return all
}

// loader puts what was read in full in the place of what was there.
func loader[T any](into *atomic.Pointer[T], read func([]byte) (*T, int, error)) func([]byte) (int, error) {
	return func(content []byte) (int, error) {
		v, n, err := read(content)
		if err == nil {
			into.Store(v)
		}
		return n, err
	}
}

// Start reads the files that are there, and goes on looking in the background.
// A file that is missing or broken is told of and tried again: reports are
// taken without it.
func (s *Service) Start(context.Context) error {
	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	for _, src := range s.sources {
		src.begin()
		s.working.Go(func() { src.run(running) })
	}
	return nil
}

// Stop ends the looking.
func (s *Service) Stop(context.Context) error {
	if s.stop != nil {
		s.stop()
		s.working.Wait()
	}
	return nil
}

// Learn remembers the names that a report's DNS answers give addresses.
func (s *Service) Learn(r *network.Report) {
	now := s.deps.Now()
	for i := range r.DNS {
		s.names.learn(r.Tap, &r.DNS[i], now)
	}
}

// Flow says what is known of the ends of a flow.
func (s *Service) Flow(tap network.TapID, f *network.Flow) (e store.Enrichment) {
	e.SrcCountry, e.SrcAS = s.place(f.Source)
	e.DstCountry, e.DstAS = s.place(f.Dest)
	now := s.deps.Now()
	e.SrcName, e.DstName = s.name(tap, f.Dest, f.Source, now), s.name(tap, f.Source, f.Dest, now)
	return e
}

// name is that of an address as its peer knows it.
func (s *Service) name(tap network.TapID, peer, addr netip.Addr, now time.Time) string {
	if s.deps.Host != nil {
		if name := s.deps.Host(tap, addr); name != "" {
			return name
		}
	}
	return s.names.find(tap, peer, addr, now)
}

func (s *Service) place(addr netip.Addr) (country string, as uint32) {
	if !public(addr) {
		return "", 0
	}
	if db := s.geoip.Load(); db != nil {
		country = db.find(addr).country
	}
	if db := s.asn.Load(); db != nil {
		as = db.find(addr).as
	}
	return country, as
}

// public reports whether an address is one that such files can know.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// Org is the name of the autonomous system of an address, or "".
func (s *Service) Org(addr netip.Addr) string {
	if db := s.asn.Load(); db != nil && public(addr) {
		return db.find(addr).org
	}
	return ""
}

// Vendor is who a hardware address was assigned to, or "". Addresses that a
// host chose itself have none.
func (s *Service) Vendor(mac [6]byte) string {
	if v := s.oui.Load(); v != nil {
		return v.find(mac)
	}
	return ""
}

// metrics are the counters of a service.
type metrics struct {
	reads   *prometheus.CounterVec
	fetches *prometheus.CounterVec
	entries *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer, names func() int) *metrics {
	m := &metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_enrich_reads_total", Help: "Files read for enrichment, by key and result: ok or failed.",
		}, []string{"key", "result"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rind_enrich_fetches_total", Help: "URLs asked for changes, by key and result: changed, unchanged or failed.",
		}, []string{"key", "result"}),
		entries: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rind_enrich_entries", Help: "Entries of the files in use, by key.",
		}, []string{"key"}),
	}
	if reg != nil {
		reg.MustRegister(m.reads, m.fetches, m.entries, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rind_enrich_names", Help: "Names of addresses that are remembered from DNS answers.",
		}, func() float64 { return float64(names()) }))
	}
	return m
}

package enrich

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// mmdb makes a file with the library of those who made the format.
func mmdb(t testing.TB, kind string, networks map[string]mmdbtype.Map) []byte {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for cidr, record := range networks {
		_, n, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := w.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func country(code string) mmdbtype.Map {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

func asn(n uint32, org string) mmdbtype.Map {
	return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(n), "autonomous_system_organization": mmdbtype.String(org)}
}

func write(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

var (
	client  = netip.MustParseAddr("10.0.0.5")
	german  = netip.MustParseAddr("203.0.114.9")
	french  = netip.MustParseAddr("2a01:e00::9")
	nowhere = netip.MustParseAddr("198.51.101.1")
)

func TestFlowsAreEnriched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.GeoIP, cfg.ASN, cfg.OUI = filepath.Join(dir, "geo.mmdb"), filepath.Join(dir, "asn.mmdb"), filepath.Join(dir, "oui.txt")
	write(t, cfg.GeoIP, mmdb(t, "Test-Country", map[string]mmdbtype.Map{
		"203.0.114.0/24": country("DE"), "2a01:e00::/32": {"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("FR")}}, "10.0.0.0/8": country("XX"),
	}))
	write(t, cfg.ASN, mmdb(t, "Test-ASN", map[string]mmdbtype.Map{
		"203.0.114.0/24": asn(64500, "Example\nNet"), "2a01:e00::/32": {"asn": mmdbtype.String("AS64501"), "as_name": mmdbtype.String("Autre")},
	}))
	write(t, cfg.OUI, []byte(ouiText))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := New(cfg, Deps{Dir: dir, Now: func() time.Time { return now }})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(t.Context()) }()

	s.Learn(&network.Report{Identity: network.Identity{Tap: "office"}, DNS: []network.DNSQuery{
		{Client: client, Name: "www.example.de", Type: 1, Answered: true, Answers: []string{"cdn.example.de", "203.0.114.9"}},
	}})
	flow := func(a, b netip.Addr) store.Enrichment { return s.Flow("office", &network.Flow{Source: a, Dest: b}) }
	for _, tc := range []struct {
		a, b netip.Addr
		want store.Enrichment
	}{
		{client, german, store.Enrichment{DstCountry: "DE", DstAS: 64500, DstName: "www.example.de"}},
		{french, client, store.Enrichment{SrcCountry: "FR", SrcAS: 64501}},
		{client, nowhere, store.Enrichment{}},
		{netip.Addr{}, netip.Addr{}, store.Enrichment{}},
	} {
		for range 2 { // the second from what was decoded
			if diff := cmp.Diff(tc.want, flow(tc.a, tc.b)); diff != "" {
				t.Errorf("%s to %s: %s", tc.a, tc.b, diff)
			}
		}
	}
	if got := s.Org(german); got != "Example Net" {
		t.Errorf("the system's name is %q", got)
	}
	if got := s.Vendor([6]byte{0x28, 0x6f, 0xb9, 1, 2, 3}); got != "Nokia Shanghai Bell Co., Ltd." {
		t.Errorf("the vendor is %q", got)
	}
}

// Without files a node says nothing, and a name of the inventory wins.
func TestNothingIsKnown(t *testing.T) {
	t.Parallel()
	s := New(DefaultConfig(), Deps{Host: func(tap network.TapID, a netip.Addr) string {
		if tap == "office" && a == client {
			return "web-01"
		}
		return ""
	}})
	got := s.Flow("office", &network.Flow{Source: client, Dest: german})
	if diff := cmp.Diff(store.Enrichment{SrcName: "web-01"}, got); diff != "" {
		t.Error(diff)
	}
	if s.Org(german) != "" || s.Vendor([6]byte{1}) != "" {
		t.Error("something is known")
	}
}

// A file that is replaced is taken; one that is broken is told of once and
// changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.GeoIP = filepath.Join(t.TempDir(), "geo.mmdb")
	var told bytes.Buffer
	s := New(cfg, Deps{Log: textLog(&told)})
	src := s.sources[0]
	see := func(want string) {
		t.Helper()
		src.step(t.Context())
		if got, _ := s.place(german); got != want {
			t.Errorf("the country is %q, want %q", got, want)
		}
	}
	src.begin()
	see("")
	see("")
	if n := strings.Count(told.String(), "could not be read"); n != 1 {
		t.Errorf("a missing file is told of %d times:\n%s", n, &told)
	}
	good := mmdb(t, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": country("DE")})
	write(t, cfg.GeoIP, good)
	see("DE")
	write(t, cfg.GeoIP, good[:len(good)/2])
	see("DE")
	see("DE")
	if n := strings.Count(told.String(), "could not be read"); n != 2 {
		t.Errorf("a broken file is told of %d times:\n%s", n-1, &told)
	}
	write(t, cfg.GeoIP, mmdb(t, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": country("AT")}))
	see("AT")
	src.limit = 10
	write(t, cfg.GeoIP, good)
	see("AT")
	if !strings.Contains(told.String(), "enrich.max_size") {
		t.Errorf("a file that is too large:\n%s", &told)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"plain http":       func(c *Config) { c.GeoIP = "http://example.net/geo.mmdb" },
		"another scheme":   func(c *Config) { c.OUI = "ftp://example.net/oui.txt" },
		"no host":          func(c *Config) { c.ASN = "https:///x" },
		"too often":        func(c *Config) { c.Refresh = time.Second },
		"no size":          func(c *Config) { c.MaxSize = 0 },
		"negative":         func(c *Config) { c.Names = -1 },
		"a name for years": func(c *Config) { c.NameTTL = 10000 * time.Hour },
	} {
		c := DefaultConfig()
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzGeo(f *testing.F) {
	f.Add(mmdb(f, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": country("DE"), "2a01:e00::/32": asn(1, "x")}))
	f.Fuzz(func(t *testing.T, content []byte) {
		db, _, err := openGeo(content)
		if err != nil {
			return
		}
		for _, a := range []netip.Addr{german, french, nowhere} {
			if p := db.find(a); p.country != "" && !isCountry(p.country) || len(p.org) > maxText {
				t.Errorf("%+v", p)
			}
		}
	})
}

func BenchmarkFlow(b *testing.B) {
	dir := b.TempDir()
	cfg := DefaultConfig()
	cfg.GeoIP, cfg.ASN = filepath.Join(dir, "g"), filepath.Join(dir, "a")
	write(b, cfg.GeoIP, mmdb(b, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": country("DE")}))
	write(b, cfg.ASN, mmdb(b, "Test", map[string]mmdbtype.Map{"203.0.114.0/24": asn(1, "x")}))
	s := New(cfg, Deps{})
	for _, src := range s.sources {
		src.begin()
	}
	f := network.Flow{Source: client, Dest: german}
	b.ReportAllocs()
	for b.Loop() {
		s.Flow("office", &f)
	}
}

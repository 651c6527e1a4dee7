package enrich

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/network"
)

// Config says where the databases come from, and what is remembered.
type Config struct {
	GeoIP   string        `yaml:"geoip" secret:"url" help:"MMDB file with countries (GeoLite2-Country, DB-IP …): a path, or an https URL that is fetched on schedule"`
	ASN     string        `yaml:"asn" secret:"url" help:"MMDB file with autonomous systems: a path or an https URL"`
	OUI     string        `yaml:"oui" secret:"url" help:"IEEE's list of vendors (oui.txt or oui.csv): a path or an https URL"`
	Refresh time.Duration `yaml:"refresh" help:"how often a URL is asked whether its file has changed"`
	MaxSize config.Size   `yaml:"max_size" help:"largest file that is taken, unpacked"`
	Names   int           `yaml:"names" help:"addresses whose names are remembered from DNS answers; 0 remembers none"`
	NameTTL time.Duration `yaml:"name_ttl" help:"how long a name from a DNS answer stands for its address"`
}

// DefaultConfig returns the configuration of a node that was told nothing: it
// has no databases, and knows names from DNS.
func DefaultConfig() Config {
	return Config{Refresh: 24 * time.Hour, MaxSize: 256 * config.MiB, Names: 100_000, NameTTL: time.Hour}
}

// maxNames bounds what an operator may ask for: some 300 bytes each.
const maxNames = 10_000_000

// Validate says what is wrong.
func (c Config) Validate() error {
	for _, s := range []struct{ key, from string }{{"geoip", c.GeoIP}, {"asn", c.ASN}, {"oui", c.OUI}} {
		if !strings.Contains(s.from, "://") {
			if s.from != "" && !filepath.IsAbs(s.from) {
				return config.Bad(s.key, "write the whole path of the file, beginning with /, or a URL that begins with https://")
			}
			continue
		}
		if u, err := url.Parse(s.from); err != nil || u.Scheme != "https" || u.Host == "" {
			return config.Bad(s.key, "write the path of a file, or a URL that begins with https://")
		}
	}
	if c.Refresh < time.Minute {
		return config.Bad("refresh", "%s is too often for whoever serves the files: at least 1m", c.Refresh)
	}
	if c.MaxSize < config.KiB || c.MaxSize > 4*config.GiB {
		return config.Bad("max_size", "a file has between 1KiB and 4GiB, and is held in memory")
	}
	if c.Names < 0 || c.Names > maxNames {
		return config.Bad("names", "from 0 to %d names are remembered", maxNames)
	}
	if c.NameTTL < time.Minute || c.NameTTL > 7*24*time.Hour {
		return config.Bad("name_ttl", "a name stands for its address between 1m and 168h")
	}
	return nil
}

// Deps are what a service works with.
type Deps struct {
	Dir     string // folder of this node for files that were fetched
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
	Client  *http.Client // optional
	// Host names an address that the inventory knows, or returns "". It is
	// asked before the names that DNS gave; nil knows none.
	Host func(tap network.TapID, addr netip.Addr) string
}

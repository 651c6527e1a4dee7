package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"
)

// TenantUse is what the rows of a tenant's taps take, and what goes next.
type TenantUse struct {
	Tenant   string
	Taps     int
	Bytes    int64
	MaxBytes int64 // 0 is any size
	Kinds    []TenantKind
}

// TenantKind is that of one kind.
type TenantKind struct {
	Kind     string
	Bytes    int64 // by what its rows take, roughly, with their places in indexes
	MaxBytes int64
	Keep     time.Duration
	Next     *Drop // what it loses next; nil when there is nothing yet
	due      []Partition
}

// lastUses is the last answer of TenantUses, and to what.
type lastUses struct {
	mu     sync.Mutex
	at     time.Time
	r      Retention
	owners Owners
	uses   []TenantUse
}

// TenantUses says for each tenant what its rows take, sorted by name. It may be
// a minute old, unless a tap was given to another tenant: reading the counts of
// a thousand taps takes half a second.
func (s *Store) TenantUses(ctx context.Context, r Retention, owners Owners) ([]TenantUse, error) {
	l := s.lastUses
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := s.now().Sub(l.at); age >= 0 && age < storageAge && reflect.DeepEqual(l.r, r) && maps.EqualFunc(l.owners, owners, slices.Equal) {
		return l.uses, nil
	}
	all, err := s.tenantUses(ctx, r, owners)
	if err == nil {
		l.at, l.r, l.owners, l.uses = s.now(), r, owners, all
	}
	return all, err
}

// tenantUses says what TenantUses does, of this moment.
func (s *Store) tenantUses(ctx context.Context, r Retention, owners Owners) ([]TenantUse, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	u := uses{s: s, r: r, owners: owners, days: map[tenantKind][]dayBytes{}}
	if err := u.read(ctx); err != nil {
		return nil, err
	}
	var out []TenantUse
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		out = append(out, u.tenant(name))
	}
	return out, nil
}

type tenantKind struct{ tenant, kind string }

// dayBytes is what the values of a day take.
type dayBytes struct{ us, bytes int64 }

// uses is what the report of tenants is made of. Sizes are those of the counts
// and not those on disk: a table stays as large as it was when rows go from
// within it, so that a tenant over its limit would lose ever more.
type uses struct {
	s          *Store
	r          Retention
	owners     Owners
	partitions []Partition
	trimmed    map[Trim]string
	days       map[tenantKind][]dayBytes // sorted
}

func (u *uses) read(ctx context.Context) (err error) {
	if u.partitions, err = partitions(ctx, u.s.db, "", math.MinInt64, math.MaxInt64); err != nil {
		return err
	}
	type note struct {
		Trim
		taps string
	}
	notes, err := list(ctx, u.s.db, `SELECT partition, tenant, taps FROM trimmed`, nil, func(row scanner) (n note, err error) {
		err = row.Scan(&n.Partition, &n.Tenant, &n.taps)
		return n, err
	})
	if err != nil {
		return fmt.Errorf("reading what was trimmed: %w", err)
	}
	u.trimmed = map[Trim]string{}
	for _, n := range notes {
		u.trimmed[n.Trim] = n.taps
	}
	if err := u.count(ctx); err != nil {
		return fmt.Errorf("reading the counts of rows: %w", err)
	}
	return nil
}

// count sums what the values of each tenant take by kind and day. What is of no
// tap in the list is the default tenant's, and when that has all of them, the
// database sums.
func (u *uses) count(ctx context.Context) error {
	of := map[string]string{}
	for tenant, taps := range u.owners {
		for _, tap := range taps {
			if tenant != DefaultTenant {
				of[tap] = tenant
			}
		}
	}
	text := `SELECT kind, tap, day_us, size_bytes FROM kind_days ORDER BY day_us`
	if len(of) == 0 {
		text = `SELECT kind, '', day_us, CAST(SUM(size_bytes) AS BIGINT) FROM kind_days GROUP BY kind, day_us ORDER BY day_us`
	}
	_, err := list(ctx, u.s.db, text, nil, func(row scanner) (none struct{}, err error) {
		var kind, tap string
		var d dayBytes
		if err = row.Scan(&kind, &tap, &d.us, &d.bytes); err == nil {
			u.add(tenantKind{cmp.Or(of[tap], DefaultTenant), kind}, d)
		}
		return none, err
	})
	return err
}

// add adds what the values of a tap of a day take. Days come in their order.
func (u *uses) add(of tenantKind, d dayBytes) {
	days := u.days[of]
	if n := len(days); n > 0 && days[n-1].us == d.us {
		days[n-1].bytes += d.bytes
		return
	}
	u.days[of] = append(days, d)
}

func (u *uses) tenant(name string) TenantUse {
	own := u.r.tenant(name)
	out := TenantUse{Tenant: name, Taps: len(u.owners[name]), MaxBytes: int64(own.MaxBytes)}
	for _, k := range Kinds() {
		t := TenantKind{Kind: k.Name, Keep: u.r.OfTenant(name, k), MaxBytes: int64(own.kind(k.Name).MaxBytes)}
		for _, d := range u.days[tenantKind{name, k.Name}] {
			t.Bytes += d.bytes
		}
		out.Bytes += t.Bytes
		out.Kinds = append(out.Kinds, t)
	}
	for i := range out.Kinds {
		u.next(&out, &out.Kinds[i])
	}
	return out
}

// next finds what a tenant loses of a kind: what is due already, and what will
// be first. A size of all its kinds together is that of each by its part.
func (u *uses) next(t *TenantUse, k *TenantKind) {
	now := u.s.now()
	byAge, bySize := now.Add(-k.Keep).UnixMicro(), int64(math.MinInt64)
	if most := u.room(*t, *k); most > 0 && k.Bytes > most {
		bySize = u.newest(t.Tenant, k.Kind, most)
	}
	kind, _ := FindKind(k.Kind)
	for _, one := range u.partitions {
		mark, was := u.trimmed[Trim{one.Name, t.Tenant}]
		if one.Table != kind.Table || one.toUS > now.UnixMicro() || was && mark == u.owners.mark(t.Tenant) || u.owned(t.Tenant, k.Kind, one) == 0 {
			continue
		}
		old, big := one.toUS <= byAge, one.toUS <= bySize
		drop := &Drop{Partition: one.Name, From: one.From, To: one.To, At: one.To.Add(k.Keep), Bytes: u.owned(t.Tenant, k.Kind, one), Size: big && !old}
		if old || big {
			drop.At = now
			if k.Keep < u.r.longest(kind) || !old { // else the partition is dropped
				k.due = append(k.due, one)
			}
		}
		if k.Next == nil {
			k.Next = drop
		}
	}
}

// room is what a tenant's rows of a kind may take, 0 when that is any size.
func (u *uses) room(t TenantUse, k TenantKind) int64 {
	if t.MaxBytes == 0 || t.Bytes <= t.MaxBytes {
		return k.MaxBytes
	}
	part := int64(float64(t.MaxBytes) / float64(t.Bytes) * float64(k.Bytes))
	if k.MaxBytes > 0 {
		return min(part, k.MaxBytes)
	}
	return max(part, 1)
}

// newest is the time from which a tenant's rows of a kind fit into so many
// bytes.
func (u *uses) newest(tenant, kind string, most int64) int64 {
	from := int64(math.MaxInt64)
	for _, d := range slices.Backward(u.days[tenantKind{tenant, kind}]) {
		if most -= d.bytes; most < 0 {
			return d.us + day.Microseconds()
		}
		from = d.us
	}
	return from
}

// owned is what a tenant's values of a kind take of a partition, by the days
// that it reaches into.
func (u *uses) owned(tenant, kind string, one Partition) (bytes int64) {
	for _, d := range u.days[tenantKind{tenant, kind}] {
		if end := d.us + day.Microseconds(); d.us < one.toUS && end > one.fromUS {
			share := float64(min(one.toUS, end)-max(one.fromUS, d.us)) / float64(day.Microseconds())
			bytes += int64(math.Ceil(float64(d.bytes) * share))
		}
	}
	return bytes
}

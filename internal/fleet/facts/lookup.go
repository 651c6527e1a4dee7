package facts

import (
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

// Lookup returns what stands under a dotted key in the JSON form of the facts:
// "os", "mem.total", "interfaces.0.mac", "interfaces". It walks the value
// itself, so that one key costs no encoding. Fields that the JSON form leaves
// out are not found.
func Lookup(f fleet.Facts, dotted string) (any, bool) {
	v := reflect.ValueOf(&f).Elem()
	for key := range strings.SplitSeq(dotted, ".") {
		switch v.Kind() {
		case reflect.Struct:
			var ok bool
			if v, ok = field(v, key); !ok {
				return nil, false
			}
		case reflect.Slice:
			n, err := strconv.Atoi(key)
			if err != nil || n < 0 || n >= v.Len() {
				return nil, false
			}
			v = v.Index(n)
		default:
			return nil, false
		}
	}
	return v.Interface(), true
}

// field finds a field by its JSON name.
func field(v reflect.Value, name string) (reflect.Value, bool) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		return v, false
	}
	for i := range v.NumField() {
		n, opts := jsonName(v.Type().Field(i))
		if n == name {
			return v.Field(i), opts == "" || !v.Field(i).IsZero()
		}
	}
	return v, false
}

func jsonName(f reflect.StructField) (name, opts string) {
	name, opts, _ = strings.Cut(f.Tag.Get("json"), ",")
	return name, opts
}

// Keys returns every dotted key that leads to a single value.
func Keys(f fleet.Facts) []string { return keys(nil, "", reflect.ValueOf(f)) }

func keys(out []string, at string, v reflect.Value) []string {
	switch {
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			name, opts := jsonName(v.Type().Field(i))
			if opts == "" || !v.Field(i).IsZero() {
				out = keys(out, strings.TrimPrefix(at+"."+name, "."), v.Field(i))
			}
		}
		return out
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			out = keys(out, at+"."+strconv.Itoa(i), v.Index(i))
		}
		return out
	}
	return append(out, at)
}

// MaxEncoded is the largest JSON form of facts, below what the bucket takes.
const MaxEncoded = 200 << 10

// Encode returns the JSON form. When the lists make it too large they are cut,
// the longest first.
func Encode(f fleet.Facts) ([]byte, error) {
	f.Interfaces = slices.Clone(f.Interfaces)
	for {
		b, err := json.Marshal(f)
		if err != nil || len(b) <= MaxEncoded {
			return b, err
		}
		addrs := false
		for i := range f.Interfaces {
			if n := len(f.Interfaces[i].Addresses); n > 16 {
				f.Interfaces[i].Addresses, addrs = f.Interfaces[i].Addresses[:n/2], true
			}
		}
		if !addrs {
			f.Mounts, f.Interfaces, f.Disks = half(f.Mounts), half(f.Interfaces), half(f.Disks)
		}
	}
}

func half[T any](s []T) []T { return s[:len(s)/2] }

// Hash identifies facts without what changes by itself: the time of boot is
// computed anew by the kernel and wanders by a second, so it counts by the
// minute around the one that was seen before.
func Hash(f fleet.Facts, before time.Time) ([32]byte, error) {
	if d := f.BootTime.Sub(before); d.Abs() < time.Minute {
		f.BootTime = before
	}
	b, err := json.Marshal(f)
	return sha256.Sum256(b), err
}

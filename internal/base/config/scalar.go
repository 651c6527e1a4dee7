package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setScalar parses text into a value that is not a list or a section. Its
// errors continue the sentence "the value of KEY …" and do not quote the text,
// which may be a secret.
func setScalar(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return textError(v.Type(), u.UnmarshalText([]byte(text)))
	}
	if v.Type() == durationType {
		d, err := parseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setScalar(v.Elem(), text)
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		return setBool(v, text)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(f)
		return numberError(err, "a number such as 0.5")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(u)
		return numberError(err, fmt.Sprintf("a whole number from 0 to %d", ^uint64(0)>>(64-v.Type().Bits())))
	}
	i, err := strconv.ParseInt(text, 10, v.Type().Bits())
	v.SetInt(i)
	return numberError(err, "a whole number such as 10")
}

// textError says what a type of the standard library wants; other types say so
// themselves.
func textError(t reflect.Type, err error) error {
	if err == nil {
		return nil
	}
	switch t {
	case reflect.TypeFor[netip.Prefix]():
		return errors.New(`want a network such as "10.0.0.0/8" or "fd00::/8"`)
	case reflect.TypeFor[netip.Addr]():
		return errors.New(`want an IP address such as "192.0.2.1" or "2001:db8::1"`)
	case reflect.TypeFor[netip.AddrPort]():
		return errors.New(`want an IP address and a port, such as "192.0.2.1:53"`)
	}
	return err
}

func setBool(v reflect.Value, text string) error {
	switch text {
	case "true", "false":
		v.SetBool(text == "true")
		return nil
	}
	return errors.New("want true or false")
}

func numberError(err error, want string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return errors.New("the number is out of range: want " + want)
	}
	return errors.New("want " + want)
}

// parseDuration reads what time.ParseDuration reads, and whole days: "30d".
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		const most = int64((1<<63 - 1) / (24 * time.Hour))
		if err == nil && n <= most && n >= -most {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New(`want a time with its unit, such as "500ms", "10s", "5m", "24h" or "30d"`)
	}
	return d, nil
}

// formatScalar is the inverse of setScalar; a nil pointer has no text.
func formatScalar(v reflect.Value) (text string, ok bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", false
		}
		if !isText(v.Type()) {
			return formatScalar(v.Elem())
		}
	}
	if m, isMarshaler := v.Interface().(encoding.TextMarshaler); isMarshaler {
		b, err := m.MarshalText()
		return string(b), err == nil
	}
	if v.Type() == durationType {
		return formatDuration(time.Duration(v.Int())), true
	}
	return fmt.Sprint(v.Interface()), true
}

// formatDuration leaves out the zeros that time.Duration prints: "5m", not
// "5m0s".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

package report

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"time"
)

func tripWithin(trips ...time.Duration) bool {
	for _, t := range trips {
		if t < 0 || t > maxTrip {
			return false
		}
	}
	return true
}

var (
	addrType = reflect.TypeFor[netip.Addr]()
	timeType = reflect.TypeFor[time.Time]()
)

// checkValue refuses in what came as JSON what the wire form cannot hold:
// texts with a NUL or too long, lists too long, addresses with a zone.
func checkValue(v reflect.Value, limits *Limits) error {
	switch v.Type() {
	case addrType:
		if a, ok := v.Interface().(netip.Addr); ok && a.Zone() != "" {
			return errors.New("an address has a zone: leave it out")
		}
		return nil
	case timeType:
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if v.Len() > limits.String {
			return fmt.Errorf("a text of %d bytes, at most %d are taken", v.Len(), limits.String)
		}
		return checkText(v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			return checkValue(v.Elem(), limits)
		}
	case reflect.Slice:
		limit := maxKinds
		if v.Type().Elem().Kind() == reflect.String {
			limit = MaxAnswers
		}
		if v.Len() > limit {
			return fmt.Errorf("a list of %d, at most %d are taken", v.Len(), limit)
		}
		for i := range v.Len() {
			if err := checkValue(v.Index(i), limits); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := checkValue(v.Field(i), limits); err != nil {
				return err
			}
		}
	}
	return nil
}

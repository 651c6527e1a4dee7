package peel

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBasketIsChecked(t *testing.T) {
	t.Parallel()
	good := BasketConfig{Interval: time.Minute, Items: []BasketItem{
		{Name: "a", Fact: "fqdn"}, {Name: "b", Function: "facts.get", Args: []string{"os"}}, {Name: "c", Command: "uptime"}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	many := BasketConfig{Interval: time.Minute}
	for n := range 65 {
		many.Items = append(many.Items, BasketItem{Name: fmt.Sprintf("n%d", n), Fact: "os"})
	}
	if err := many.Validate(); err == nil || !strings.Contains(err.Error(), "at most 64") {
		t.Errorf("%v", err)
	}
	if err := (&BasketConfig{Interval: time.Second}).Validate(); err == nil || !strings.Contains(err.Error(), "use 10s or more") {
		t.Errorf("%v", err)
	}
	for says, item := range map[string]BasketItem{
		"no name of a shared value":       {Name: "A", Fact: "os"},
		"two values with the name a":      {Name: "a", Fact: "os"},
		"exactly one of":                  {Name: "x"},
		"name exactly one of":             {Name: "x", Fact: "os", Command: "true"},
		"args are for a function":         {Name: "x", Fact: "os", Args: []string{"a"}},
		`"facts.gte"; did you mean facts`: {Name: "x", Function: "facts.gte"},
		"file.write does not only read":   {Name: "x", Function: "file.write", Args: []string{"/etc/x", "y"}},
		"cmd.run does not only read":      {Name: "x", Function: "cmd.run", Args: []string{"true"}},
		"facts.get needs KEY":             {Name: "x", Function: "facts.get"},
	} {
		cfg := BasketConfig{Interval: time.Minute, Items: append(good.Items[:1:1], item)}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", item, err, says)
		}
	}
}

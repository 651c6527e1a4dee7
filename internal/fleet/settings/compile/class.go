package compile

import (
	"sync"

	"github.com/rind-project/rind/internal/fleet/settings"
)

// maxTexts bounds the keys whose values a class remembers.
const maxTexts = 1000

// class is the peels for which the same layers are meant.
type class struct {
	places   []int // of its layers
	names    []string
	trees    []settings.Values
	values   settings.Values
	data     []byte // as JSON
	revision string
	err      error // why they cannot reach a peel

	mu    sync.Mutex
	asked map[string][]string
}

// newClass merges layers.
func newClass(all []layer, places []int) *class {
	c := &class{places: places, values: settings.Values{}, asked: map[string][]string{}}
	for _, n := range places {
		c.names, c.trees = append(c.names, all[n].Name), append(c.trees, all[n].values)
		c.values = settings.Merge(c.values, all[n].values)
	}
	c.data, c.revision, c.err = settings.Encode(c.values)
	return c
}

// texts are the values of a key. Most questions are for few keys of many
// peels.
func (c *class) texts(key string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, known := c.asked[key]
	if !known {
		if len(c.asked) >= maxTexts {
			clear(c.asked)
		}
		out = settings.Texts(c.values, key)
		c.asked[key] = out
	}
	return out
}

// bits is a set of layers.
type bits []byte

func newBits(n int) bits { return make(bits, (n+7)/8) }

func (b bits) set(n int) { b[n/8] |= 1 << (n % 8) }

func (b bits) places() []int {
	out := []int{}
	for n := range len(b) * 8 {
		if b[n/8]&(1<<(n%8)) != 0 {
			out = append(out, n)
		}
	}
	return out
}

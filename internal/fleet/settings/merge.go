package settings

import (
	"encoding/json"
	"maps"
	"slices"
)

// Merge puts one tree over another: maps are merged key by key, everything else
// is replaced. Neither is changed; what only one has is shared.
func Merge(below, above Values) Values {
	if len(above) == 0 {
		return below
	}
	out := make(Values, len(below)+len(above))
	maps.Copy(out, below)
	for k, v := range above {
		a, isMap := v.(Values)
		b, wasMap := out[k].(Values)
		if isMap && wasMap {
			v = Merge(b, a)
		}
		out[k] = v
	}
	return out
}

// Origins says of each value of trees that are merged in their order which one
// it comes from. A map counts only when it is empty; a list is one value.
func Origins(names []string, trees []Values) []Origin {
	from := node{}
	for i, t := range trees {
		from.put(t, names[i])
	}
	return from.origins("", nil)
}

// node is a map of a tree that remembers where its values come from.
type node map[string]*annotated

type annotated struct {
	value any
	layer string
	below node // of a map
}

func (n node) put(v Values, layer string) {
	for key, value := range v {
		m, isMap := value.(Values)
		if !isMap {
			n[key] = &annotated{value: value, layer: layer}
			continue
		}
		if n[key] == nil || n[key].below == nil {
			n[key] = &annotated{value: Values{}, layer: layer, below: node{}}
		}
		n[key].below.put(m, layer)
	}
}

func (n node) origins(prefix string, out []Origin) []Origin {
	for _, key := range slices.Sorted(maps.Keys(n)) {
		a := n[key]
		if len(a.below) > 0 {
			out = a.below.origins(prefix+key+".", out)
			continue
		}
		value, err := json.Marshal(a.value)
		if err != nil {
			continue // cannot be: it was read from JSON or YAML
		}
		out = append(out, Origin{Key: prefix + key, Value: value, Layer: a.layer})
	}
	return out
}

// encode is the JSON of a tree; its keys are sorted.
func encode(v Values) ([]byte, error) {
	if v == nil {
		v = Values{}
	}
	return json.Marshal(v)
}

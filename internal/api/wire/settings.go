package wire

import "github.com/rind-project/rind/internal/fleet/settings"

// LayersOut is every layer of settings, in their order.
type LayersOut struct {
	Layers []settings.Layer `json:"layers"`
}

// LayerName names a layer of settings.
type LayerName struct {
	Name string `path:"name" doc:"name of the layer"`
}

// LayerIn makes or replaces a layer of settings.
type LayerIn struct {
	Name   string `path:"name" json:"-" doc:"name of the layer"`
	Order  int    `json:"order,omitempty" doc:"place among the layers, small ones first; what comes later wins"`
	Target string `json:"target" required:"true" doc:"target expression; it may not ask for settings (I@)"`
	Data   string `json:"data" doc:"a map of keys and values, as YAML or JSON, at most 256 KiB"`
}

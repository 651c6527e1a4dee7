package ingest

import (
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// TapInfo is a tap as the nodes know it.
type TapInfo struct {
	Name        network.TapID  `json:"name"`
	Tenant      string         `json:"tenant"`
	Created     time.Time      `json:"created"`
	Expires     *time.Time     `json:"expires,omitempty"` // of its token
	Revoked     *time.Time     `json:"revoked,omitempty"`
	LastReport  *time.Time     `json:"last_report,omitempty"` // when a node committed it
	LastEnd     *time.Time     `json:"last_end,omitempty"`    // end of the newest report, by the tap's clock
	Reports     int64          `json:"reports"`
	Health      network.Health `json:"health"`
	Loss        store.Loss     `json:"loss"` // over the last 24 hours
	LossPercent float64        `json:"loss_percent"`
	Shared      *time.Time     `json:"shared,omitempty"` // when two machines were last heard with its token, within the last hour
	LastGap     *network.Gap   `json:"last_gap,omitempty"`
}

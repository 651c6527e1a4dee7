package batch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// commit publishes a batch, all of it or nothing.
func (w *Writer) commit(batch []*Value) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitWait)
	defer cancel()
	id := rand.Text()
	for n, v := range batch {
		m := &nats.Msg{Subject: "$KV." + w.cfg.Bucket + "." + v.Key, Data: v.Msg.Data, Header: nats.Header{
			"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {strconv.Itoa(n + 1)},
		}}
		if v.Once {
			m.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"0"}
		}
		if n < len(batch)-1 {
			if err := w.deps.NC.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		m.Header["Nats-Batch-Commit"] = []string{"1"}
		ack, err := w.deps.NC.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		return committed(ack.Data, len(batch))
	}
	return nil
}

// committed reads the bus's answer to a batch.
func committed(data []byte, size int) error {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return err
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Count != size {
		return errors.New("the bus acknowledged another batch")
	}
	return nil
}

// isStored reports whether a first write failed because there was one before.
func isStored(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

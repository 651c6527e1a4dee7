package master

import "context"

// TakeOver has a master take a job over as if the one that collects it were
// dead.
func TakeOver(ctx context.Context, m *Master, jid string) error {
	l, err := m.running()
	if err != nil {
		return err
	}
	rec, err := l.records.Read(ctx, jid)
	if err != nil {
		return err
	}
	l.wg.Go(func() { m.adopt(l, rec) })
	return nil
}

// Unhear has a master's board be behind: it has not heard of a job.
func Unhear(m *Master, jid string) error {
	l, err := m.running()
	if err == nil {
		l.board.remove(jid)
	}
	return err
}

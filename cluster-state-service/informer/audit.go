package informer

import (
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/digest"
	"github.com/blox/blox/internal/redact"
)

// defaultAuditInterval is the time between two audits, at most.
const defaultAuditInterval = 5 * time.Minute

// nextAudit returns the time of the next audit. Jitter spreads the informers that follow one CSS.
func nextAudit(interval time.Duration) time.Time { return time.Now().Add(backoff.Jitter(interval)) }

// audit holds what a copy needs, beside its records, to be compared with the CSS.
type audit struct {
	malformed   map[string]int64 // versions of the records that were skipped, by ARN
	unknown     bool             // a record without ARN or version was skipped, so the copy cannot be compared
	differences int              // audits that found one
	differedAt  time.Time        // time of the last one
}

// skipped takes a record that the CSS holds and the copy lacks, because it is malformed.
func (a *audit) skipped(arn string, version int64) {
	if arn == "" || version == 0 {
		a.unknown = true
		return
	}
	if a.malformed == nil {
		a.malformed = map[string]int64{}
	}
	a.malformed[arn] = max(a.malformed[arn], version)
}

// decoded forgets a malformed record that a later one replaces or that is deleted.
func (a *audit) decoded(arn string, version int64) {
	if a.malformed[arn] < version {
		delete(a.malformed, arn)
	}
}

// resetAudit forgets all malformed records before another list.
func (c *records[R]) resetAudit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audit.malformed, c.audit.unknown = nil, false
}

// digest returns the digest of the copy, computed from its records. known is false if it cannot be compared with that
// of the CSS.
func (c *records[R]) digest() (sum digest.Sum, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, r := range c.byARN {
		sum.Add(r.arn, r.version)
	}
	for arn, version := range c.audit.malformed {
		sum.Add(arn, version)
	}
	return sum, !c.audit.unknown
}

// differed counts an audit that found a difference.
func (c *records[R]) differed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audit.differences++
	c.audit.differedAt = time.Now()
}

func (c *records[R]) differences() (n int, last time.Time) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.audit.differences, c.audit.differedAt
}

// Differences returns the number of audits in which the copy differed from the CSS, and the time of the last. Each was
// logged and repaired by another list. An old CSS sends no digest, so nothing is compared with it.
func (m *Informer) Differences() (n int, last time.Time) {
	n, last = m.tasks.differences()
	instances, at := m.instances.differences()
	if at.After(last) {
		last = at
	}
	return n + instances, last
}

// compare compares the copy with a heartbeat's digest if an audit is due. Both are of one version: every change before
// the heartbeat has been applied. An error makes the follower list again.
func (f *follower[R]) compare(want string) error {
	if want == "" || time.Now().Before(f.auditAt) {
		return nil
	}
	f.auditAt = nextAudit(f.auditInterval)
	got, known := f.records.digest()
	if !known || got.String() == want {
		return nil
	}
	f.records.differed()
	f.log.WithFields(logrus.Fields{
		"endpoint": redact.URL(f.base()), "kind": string(f.records.kind), "version": f.version, "digest": got.String(),
		"want": want,
	}).Error("the copy differs from the cluster-state-service; listing again")
	return fmt.Errorf("the copy of %s differs", f.path)
}

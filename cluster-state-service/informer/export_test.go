package informer

import "time"

// AuditEvery makes the Informer compare its copy at every heartbeat that follows after that time. It must be called
// before Run.
func (m *Informer) AuditEvery(interval time.Duration) { m.auditInterval = interval }

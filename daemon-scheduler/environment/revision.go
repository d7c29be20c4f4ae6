package environment

import (
	"encoding/json"
	"slices"
	"time"
)

// maxRevisions and maxRevisionBytes limit the revisions in an environment's record.
const (
	maxRevisions     = 100
	maxRevisionBytes = 256 << 10
)

// Revision is an immutable version of an environment's Spec.
type Revision struct {
	Number    int       // from 1
	CreatedAt time.Time `json:",omitzero"` // zero in v0.3's records
	Spec      Spec

	stored json.RawMessage // as read, with the fields that this version of Blox does not know
}

// LatestRevision returns the newest revision, which the next deployment rolls out.
func (e Environment) LatestRevision() Revision {
	if n := len(e.Revisions); n > 0 {
		return e.Revisions[n-1]
	}
	return Revision{Number: 1, Spec: Spec{TaskDefinition: e.DesiredTaskDefinition}} // v0.3 stored no revisions
}

// KeptRevisions returns the revisions that are kept, oldest first; at least one.
func (e Environment) KeptRevisions() []Revision {
	if len(e.Revisions) > 0 {
		return slices.Clone(e.Revisions)
	}
	return []Revision{e.LatestRevision()}
}

// RevisionFor returns the revision that the deployment rolls out. If v0.3 created the deployment, or the revision is
// no longer kept, only its task definition is known.
func (e Environment) RevisionFor(d Deployment) Revision {
	for _, r := range e.Revisions {
		if r.Number == d.RevisionNumber() && r.Spec.TaskDefinition == d.TaskDefinition {
			return r
		}
	}
	return Revision{Number: d.RevisionNumber(), Spec: Spec{TaskDefinition: d.TaskDefinition}}
}

// CurrentSpec returns the spec of the current deployment, or of the latest revision if there is no deployment.
func (e Environment) CurrentSpec() Spec {
	if d, ok := e.Current(); ok {
		return e.RevisionFor(d).Spec
	}
	return e.LatestRevision().Spec
}

// Update adds a revision with spec. Next is the token for its deployment. Token has to be the environment's, so that
// a client that does not know the latest update cannot undo it. A spec that equals the latest one changes nothing.
func (e Environment) Update(spec Spec, token, next string, now time.Time) (Environment, error) {
	if err := e.CheckUpdate(token); err != nil {
		return e, err
	}
	latest := e.LatestRevision()
	if spec.Equal(latest.Spec) {
		return e, nil
	}
	revision := Revision{Number: latest.Number + 1, CreatedAt: now.UTC(), Spec: spec}
	e.Revisions = append(e.KeptRevisions(), revision)
	e.DesiredTaskDefinition = spec.TaskDefinition
	e.Token = next
	return e.trimRevisions(), nil
}

// CheckUpdate returns the error that Update would return.
func (e Environment) CheckUpdate(token string) error {
	switch err := CheckToken(token); {
	case err != nil:
		return err
	case token != e.Token:
		return updateTokenOutdated(token)
	}
	return e.checkNotDeleting()
}

// trimRevisions removes the oldest revisions beyond the limits. It keeps the latest one, the current deployment's,
// and the revisions that a rollback may restore.
func (e Environment) trimRevisions() Environment {
	needed := map[int]bool{e.LatestRevision().Number: true}
	if d, ok := e.Current(); ok {
		needed[d.RevisionNumber()] = true
	}
	if d, ok := e.NewestCompleted(); ok {
		needed[d.RevisionNumber()] = true
	}
	if d, _, err := e.rollbackTarget(); err == nil {
		needed[d.RevisionNumber()] = true
	}
	kept := make([]Revision, 0, len(e.Revisions))
	bytes := 0
	for _, r := range slices.Backward(e.Revisions) {
		size := r.size()
		if needed[r.Number] || len(kept) < maxRevisions && bytes+size <= maxRevisionBytes {
			kept = append(kept, r)
			bytes += size
		}
	}
	slices.Reverse(kept)
	e.Revisions = kept
	return e
}

func (r Revision) size() int {
	data, err := json.Marshal(r)
	if err != nil {
		return 0 // then the record cannot be written either
	}
	return len(data)
}

package environment

import (
	"encoding/json"
	"slices"
	"time"
)

const (
	// maxRevisions and maxRevisionBytes bound what an environment's record keeps of its past.
	maxRevisions     = 100
	maxRevisionBytes = 256 << 10
)

// Revision is what an environment wants from some time on. It does not change once it is made.
type Revision struct {
	Number    int       // from 1
	CreatedAt time.Time `json:",omitzero"` // zero of what v0.3 made
	Spec      Spec

	stored json.RawMessage // as it was read, with what this version of Blox does not know
}

// Create is a new environment, with its first revision, that nothing is deployed of yet.
func Create(name, cluster, token string, spec Spec, now time.Time) Environment {
	e := New(name, cluster, spec.TaskDefinition, token)
	e.CreatedAt = now.UTC()
	e.Revisions = []Revision{{Number: 1, CreatedAt: e.CreatedAt, Spec: spec}}
	return e
}

// LatestRevision is the newest revision: what the next deployment puts into effect.
func (e Environment) LatestRevision() Revision {
	if n := len(e.Revisions); n > 0 {
		return e.Revisions[n-1]
	}
	return Revision{Number: 1, Spec: Spec{TaskDefinition: e.DesiredTaskDefinition}} // as v0.3 leaves it
}

// KeptRevisions are the revisions that are kept, oldest first; there is always one.
func (e Environment) KeptRevisions() []Revision {
	if len(e.Revisions) > 0 {
		return slices.Clone(e.Revisions)
	}
	return []Revision{e.LatestRevision()}
}

// RevisionFor is the revision that the deployment puts into effect. Of one that v0.3 made, or whose revision is forgotten, the
// task definition is all that is known.
func (e Environment) RevisionFor(d Deployment) Revision {
	for _, r := range e.Revisions {
		if r.Number == d.RevisionNumber() && r.Spec.TaskDefinition == d.TaskDefinition {
			return r
		}
	}
	return Revision{Number: d.RevisionNumber(), Spec: Spec{TaskDefinition: d.TaskDefinition}}
}

// CurrentSpec is what the current deployment puts into effect; without one, what the environment wants.
func (e Environment) CurrentSpec() Spec {
	if d, ok := e.Current(); ok {
		return e.RevisionFor(d).Spec
	}
	return e.LatestRevision().Spec
}

// RevisionNumber is the number of the revision that the deployment puts into effect; v0.3 had one.
func (d Deployment) RevisionNumber() int { return max(1, d.Revision) }

// Adopts tells whether d, which goes back to an earlier revision, takes over tasks that the deployment with that id has
// started: they are of the same revision, so that there is no reason to replace them.
func (e Environment) Adopts(d Deployment, startedBy string) bool {
	of, ok := e.Deployments[startedBy]
	return ok && of.ID != d.ID && d.RollbackOf != "" && d.RollbackOf != of.ID &&
		of.RevisionNumber() == d.RevisionNumber() && of.TaskDefinition == d.TaskDefinition
}

// Update makes a new revision of spec, and next the token for its deployment. Token has to be the environment's: who does
// not know of the latest change must not undo it.
func (e Environment) Update(spec Spec, token, next string, now time.Time) (Environment, error) {
	if err := e.CheckUpdate(token); err != nil {
		return e, err
	}
	e.Revisions = append(e.KeptRevisions(), Revision{Number: e.LatestRevision().Number + 1, CreatedAt: now.UTC(), Spec: spec})
	e.DesiredTaskDefinition, e.Token = spec.TaskDefinition, next
	return e.trimRevisions(), nil
}

// CheckUpdate tells whether an update with that token may be made now.
func (e Environment) CheckUpdate(token string) error {
	switch err := CheckToken(token); {
	case err != nil:
		return err
	case token != e.Token:
		return updateTokenOutdated(token)
	}
	return e.checkNotDeleting()
}

// trimRevisions forgets the oldest revisions beyond what may be kept, those excepted that are wanted, in effect, or to be
// gone back to.
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
	kept, bytes := make([]Revision, 0, len(e.Revisions)), 0
	for _, r := range slices.Backward(e.Revisions) {
		size := r.size()
		if needed[r.Number] || len(kept) < maxRevisions && bytes+size <= maxRevisionBytes {
			kept, bytes = append(kept, r), bytes+size
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

// MarshalJSON writes the revision, as it was read if it was.
func (r Revision) MarshalJSON() ([]byte, error) {
	if r.stored != nil {
		return r.stored, nil
	}
	type record Revision
	return json.Marshal(record(r))
}

// UnmarshalJSON reads a revision.
func (r *Revision) UnmarshalJSON(data []byte) error {
	type record Revision
	var read record
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*r = Revision(read)
	r.stored = slices.Clone(data)
	return nil
}

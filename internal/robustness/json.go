package robustness

// The parts of the services' responses that clients and checks read.

// recordJSON is a Task or ContainerInstance, in a list or a stream.
type recordJSON struct {
	Metadata struct {
		EntityVersion string
		Deleted       bool
	}
	Entity struct {
		TaskARN, ContainerInstanceARN, ClusterARN string
		StartedBy, LastStatus, Status             string
	}
	Error string // last line of a stream that the service terminates
}

func (r recordJSON) version() int64 { return parseVersion(r.Metadata.EntityVersion) }

type listJSON struct {
	Items    []recordJSON
	Metadata struct{ EntityVersion string }
}

// environmentJSON is an Environment.
type environmentJSON struct {
	Name, DeploymentToken, Status string
	Paused                        bool
	TaskSettings                  struct{ Tags []struct{ Value string } }
}

// environmentResponse is an Environment or a Deployment, as a change returns it.
type environmentResponse struct{ DeploymentToken, ID, TaskDefinition string }

// hasFuture reports whether a deployment is in progress or completed. If all have failed, nothing restores the tasks.
func (l deploymentsJSON) hasFuture() bool {
	for _, d := range l.Items {
		if d.RolloutState != "FAILED" && d.RolloutState != "STOPPED" {
			return true
		}
	}
	return false
}

type deploymentsJSON struct {
	Items []struct {
		ID, RolloutState string
		TaskDefinition   string
	}
}

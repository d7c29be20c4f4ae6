package environment

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTaskSettings_ValidateVolumes(t *testing.T) {
	size := int32(20)
	sized := &ManagedEBSVolume{RoleARN: "role", SizeInGiB: &size}
	configured := func(volumes ...VolumeConfiguration) Spec {
		return Spec{TaskSettings: TaskSettings{VolumeConfigurations: volumes}}
	}
	none, data := TaskDefinition{}, TaskDefinition{LaunchVolumes: []string{"data"}}
	const field = "taskSettings.volumeConfigurations"
	for name, tc := range map[string]struct {
		spec Spec
		of   TaskDefinition
		want string
	}{
		"no volumes": {Spec{}, none, ""},
		"a size":     {configured(VolumeConfiguration{"data", sized}), data, ""},
		"a snapshot": {configured(VolumeConfiguration{"data", &ManagedEBSVolume{SnapshotID: "snap"}}), data, ""},
		"a missing volume": {
			Spec{}, data,
			field + " in body is required for volume data, which the task definition configures at launch",
		},
		"an unknown volume": {
			configured(VolumeConfiguration{"data", sized}), none,
			field + ".0.name in body is not a volume that the task definition configures at launch",
		},
		"a repeated volume": {
			configured(VolumeConfiguration{"data", sized}, VolumeConfiguration{"data", sized}), data,
			field + ".1.name in body is repeated",
		},
		"neither size nor snapshot": {
			configured(VolumeConfiguration{"data", &ManagedEBSVolume{}}), data,
			field + ".0.managedEBSVolume in body should have sizeInGiB or snapshotId",
		},
	} {
		assert.Equal(t, tc.want, strings.Join(tc.spec.Validate(&tc.of), "\n"), name)
	}
}

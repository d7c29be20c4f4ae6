package manifest

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// fixed are the fields that an update cannot change.
var fixed = []string{"name", "environmentType", "fromService"}

// Patch returns the JSON merge patch that makes the environment as the document describes it: fields that the document
// lacks get their defaults, or with fromService keep the values that came from the service. Present is the environment
// as Export returns it. The patch may set fields to equal values, such as a task definition by its family. It returns
// an error for fields that cannot be changed.
func (d Document) Patch(present map[string]any) (map[string]any, error) {
	wanted := withoutNulls(d.Fields)
	for _, field := range fixed {
		if value, given := wanted[field]; given && field != "fromService" && !reflect.DeepEqual(value, present[field]) {
			return nil, fmt.Errorf("%s: %s %v cannot change to %v: create another environment",
				d.Source, field, present[field], value)
		}
	}
	_, fromService := wanted["fromService"]
	patch := difference(present, wanted, fromService)
	for _, field := range fixed {
		delete(patch, field)
	}
	group, _ := patch["instanceGroup"].(map[string]any)
	if cluster, changes := group["cluster"]; changes {
		presentGroup, _ := present["instanceGroup"].(map[string]any)
		current, _ := presentGroup["cluster"].(string)
		if cluster != nil && cluster != current[strings.LastIndexByte(current, '/')+1:] {
			return nil, fmt.Errorf("%s: instanceGroup.cluster %s cannot change to %v: create another environment",
				d.Source, current, cluster)
		}
		delete(group, "cluster")
		if len(group) == 0 {
			delete(patch, "instanceGroup")
		}
	}
	return patch, nil
}

// Merge returns the fields with a JSON merge patch applied, RFC 7396: a null removes its field.
func Merge(fields, patch map[string]any) map[string]any {
	merged := maps.Clone(fields)
	if merged == nil {
		merged = map[string]any{}
	}
	for field, value := range patch {
		switch inner, is := value.(map[string]any); {
		case value == nil:
			delete(merged, field)
		case is:
			before, _ := merged[field].(map[string]any)
			merged[field] = Merge(before, inner)
		default:
			merged[field] = value
		}
	}
	return merged
}

// difference returns the JSON merge patch that turns present into wanted, RFC 7396. With keep, the fields that wanted
// lacks stay.
func difference(present, wanted map[string]any, keep bool) map[string]any {
	patch := map[string]any{}
	for field := range present {
		if _, stays := wanted[field]; !stays && !keep {
			patch[field] = nil
		}
	}
	for field, value := range wanted {
		before, is := present[field].(map[string]any)
		after, becomes := value.(map[string]any)
		switch {
		case is && becomes:
			if inner := difference(before, after, keep); len(inner) > 0 {
				patch[field] = inner
			}
		case !reflect.DeepEqual(present[field], value):
			patch[field] = value
		}
	}
	return patch
}

// withoutNulls returns the fields that are not null. In a document, null stands for the default.
func withoutNulls(fields map[string]any) map[string]any {
	kept := map[string]any{}
	for field, value := range fields {
		switch value := value.(type) {
		case nil:
		case map[string]any:
			kept[field] = withoutNulls(value)
		default:
			kept[field] = value
		}
	}
	return kept
}

//go:build !unix

package bench

import "time"

// processor returns 0: there is no such figure here, and cpu-ns/op is left out.
func processor() time.Duration { return 0 }

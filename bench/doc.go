// Package bench measures what the mfa library costs, beside the cost of the bare work (a hash, a map, one query) and of other
// libraries that do the same. Compare figures within one run only: machines drift more than the differences are worth.
//
// It is a module of its own, so that a program using mfa never downloads what is measured here for comparison.
package bench

#!/usr/bin/env bash
# A trial that sleeps for a time that stands in a file, and writes down when it started and ended.
#   sleeper.sh NUMBER DURATIONS TIMES LOSS [PARAMETER ...]
# Line NUMBER (from 0) of DURATIONS is the time in seconds; TIMES gets `NUMBER START END JOB`.
LC_ALL=C
start=$EPOCHREALTIME
mapfile -t -s "$1" -n 1 duration <"$2"
[[ ${duration[0]} == 0 ]] || sleep "${duration[0]}"
echo "$1 $start $EPOCHREALTIME ${SLURM_JOB_ID:--}" >>"$3"
echo "loss=$4"

def details(found):
    return [
        f"{r.detector} {r.group} {r.kernel} m{r.master}: {r.found_at} {r.message[:100]}"
        for r in found
        if (r.group == "control") == (r.found_at is not None) and r.detector == "pytest-gpuemu"
    ]


def tables(found):
    return [str(len(found))]

def draw_usage(findings, title, folder):
    return None
